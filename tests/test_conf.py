"""Every file of the configuration composes, and its objects can be built."""

import re
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from run_commands import config
from torch import nn

from segment.configuration.values import config_dir, flatten
from segment.datasets.sources.folder import Folder
from segment.memory.patch_size import check_patch_size
from segment.model.module import SegmentationModule

CONF = Path(config_dir())


def train_config(*overrides: str) -> DictConfig:
    return config("train", "run_dir=.", *overrides)


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = [
    "data",
    "preprocess",
    "postprocess",
    "augment",
    "split",
    "scheduler",
    "trainer",
    "callbacks",
    "logger",
    "experiment",
    "model/net",
    "model/criterion",
]
CHOICES = [(group, option) for group in GROUPS for option in options(group)]
# Options without a default.
NEEDED = {
    "data=folder": ["data.sources.folder.root=x", "data.sources.folder.label_codes={liver: 1}"],
    "data=flare22": ["data.sources.flare22.root=x"],
    "data=nnunet": ["data.sources.nnunet.root=x"],
    "data=msd": ["data.sources.msd.root=x"],
    "data=bids": ["data.sources.bids.root=x"],
    "data=manifest": ["data.sources.manifest.path=x"],
    "data=tree": ["data.sources.tree.root=x", "data.sources.tree.label_codes={liver: 1}"],
    "split=file": ["split.path=x"],
    "split=nnunet": ["split.path=x"],
}


@pytest.mark.parametrize(("group", "option"), CHOICES)
def test_every_file_of_every_group_composes(group, option):
    choice = f"{group}={option}"
    cfg = train_config(choice, *NEEDED.get(choice, []))
    OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)


@pytest.mark.parametrize(
    ("group", "option"), [(g, o) for g, o in CHOICES if g in ("data", "preprocess", "augment", "split", "callbacks")]
)
def test_every_part_can_be_built(group, option, tmp_path):
    choice = f"{group}={option}"
    cfg = train_config(choice, *NEEDED.get(choice, []), f"run_dir={tmp_path}")
    for node in cfg.callbacks.values() if group == "callbacks" else [cfg[group]]:
        instantiate(node, _convert_="all")


@pytest.mark.parametrize("model", [m for m in options("model") if m != "default"])
def test_every_model_can_be_built(model):
    module = instantiate(train_config(f"model={model}").model, _convert_="all")
    assert isinstance(module, SegmentationModule)
    assert module.configure_optimizers() is not None


@pytest.mark.parametrize("experiment", ["quick", "smoke", "abdomen"])
@pytest.mark.parametrize("net", options("model/net"))
def test_every_network_is_one_override_away(net, experiment):
    module = instantiate(train_config(f"experiment={experiment}", f"model/net={net}").model, _convert_="all")
    assert isinstance(module.net, nn.Module)


def test_an_organ_without_a_tolerance_is_refused_before_training():
    with pytest.raises(
        InstantiationException, match=r"tolerance_mm has no value for aorta; add it in mm: \+tolerance_mm"
    ):
        instantiate(train_config("organs=[liver,aorta]").model, _convert_="all")


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_experiment_can_be_trained(experiment, monkeypatch):
    cfg = train_config(f"experiment={experiment}")
    module = instantiate(cfg.model, _convert_="all")
    module.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    monkeypatch.setattr(pl.Trainer, "estimated_stepping_batches", 100)  # for schedules by steps; there are no data here
    check_patch_size(module.net, cfg.data.patch_size, cfg.data.batch_size)
    assert module.configure_optimizers() is not None


@pytest.mark.parametrize("experiment", options("experiment"))
def test_every_value_of_an_experiment_takes_effect(experiment):
    written = flatten(OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml")))
    composed = flatten(OmegaConf.to_container(train_config(f"experiment={experiment}")))
    written.pop("defaults", None)
    assert {key: composed.get(key) for key in written} == written


@pytest.mark.parametrize("experiment", options("experiment"))
def test_the_first_lines_of_an_experiment_say_how_to_run_it(experiment):
    first, second = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()[:2]
    assert first == "# @package _global_"
    assert second.startswith("# segment train")
    assert experiment == "quick" or f"experiment={experiment}" in second


def test_the_seed_experiment_has_the_values_of_the_original_assignment():
    # See docs/design.md.
    cfg = train_config("experiment=seed")
    assert [t["_target_"].rsplit(".", 1)[1] for t in cfg.preprocess.transforms] == [
        "ToCanonical",
        "Resample",
        "RescaleIntensity",
        "ZNormalization",
    ]
    assert cfg.preprocess.transforms[1].size == [128, 128, 128]
    assert cfg.data.patch_size == [128, 128, 128]
    assert cfg.data.batch_size == 4
    assert cfg.data.patches_per_epoch is None
    assert cfg.augment.transforms == []
    assert (cfg.model.optimizer["_target_"], cfg.optimizer.lr) == ("torch.optim.Adam", 1e-3)
    assert cfg.scheduler is None
    assert cfg.trainer.max_epochs == 20
    kinds = {type(module).__name__ for module in instantiate(cfg.model, _convert_="all").net.modules()}
    assert {"Conv3d", "BatchNorm3d", "ReLU", "MaxPool3d", "Upsample"} <= kinds


def test_the_monitored_metric_is_named_once():
    text = "\n".join(path.read_text() for path in CONF.rglob("*.yaml"))
    assert text.count("val/dice/mean") == 1


def test_organs_reach_every_part():
    cfg = train_config("organs=[liver,spleen]")
    module = instantiate(cfg.model, _convert_="all")
    datamodule = instantiate(cfg.data, _convert_="all")
    assert module.organs == datamodule.organs == ["liver", "spleen"]


def test_the_examples_of_extending_work(tmp_path, monkeypatch):
    page = (CONF.parent / "docs" / "extending.md").read_text(encoding="utf-8")
    command = r"`conf/(\S+\.yaml)`, then\s+`(?:\w+=<folder> )?segment train (\S+)`"
    files = re.findall(command + r":\s+```yaml\n(.*?)```", page, flags=re.DOTALL)
    for path, _, text in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert len(files) == 3
    monkeypatch.setenv("CLINIC_ROOT", str(tmp_path))
    cfg = train_config(*(override for _, override, _ in files), f"hydra.searchpath=[file://{tmp_path}]")
    module = instantiate(cfg.model, _convert_="all")
    image, label = torch.randn(1, 1, 32, 32, 32), torch.ones(1, 1, 32, 32, 32, dtype=torch.uint8)
    with torch.no_grad():
        assert float(module.criterion(module.net(image), label)) > 0
    (source,) = (instantiate(node, _convert_="all") for node in cfg.data.sources.values())
    assert isinstance(source, Folder)
