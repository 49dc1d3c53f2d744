from collections import OrderedDict
from pathlib import Path

import pytest
import tiny
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segment.checkpoint.load import load_model, without_training
from segment.checkpoint.trust import check_config
from segment.commands.command import config_dir
from segment.configuration.roles import CHECKPOINT_KEYS
from segment.errors import UserError

CONF = Path(config_dir())

HOSTILE = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "functools.partial",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    # Their prefixes are those of trusted modules.
    "torch.nn.functional.os.system",
    "torch.nn.modules.module.functools.partial",
    "torch.nn.modules.container.operator.attrgetter",
    "torchio.transforms.transform.Path",
    "segment.model.module.pl.Trainer",
    # Functions and methods, not classes.
    "torch.load",
    "torch.hub.load",
    "torch.nn.utils.clip_grad_norm_",
    "torch.nn.Module.load_state_dict",
    "torch.nn.Module.__subclasses__",
    "segment.model.vnet.torch.load",
    # Metaclasses, and objects that are not classes.
    "torch.nn.Conv3d.__class__",
    "torch.nn.Conv3d.__base__.__base__.__base__",
    "torch.nn",
    "torch.nn.modules",
    "segment.model.vnet.GROUPS",
    "torch.nn.NoSuchLayer",
    "torch",
    "${x}",
    "",
    ".",
    # Classes of trusted packages that download, run or read whatever an argument names.
    "monai.networks.nets.HoVerNet",
    "monai.networks.trt_compiler.TrtCompiler",
    "monai.losses.PerceptualLoss",
    "monai.inferers.ZarrAvgMerger",
    "torchio.HistogramStandardization",
    "segment.datasets.sources.lidc.Lidc",
    "segment.datasets.sources.phantom.Phantom",
    "segment.callbacks.case_report.CaseReport",
    "segment.commands.train.main",
    "segment.model.combined_loss.class_weights",
    "segment.model.combined_loss.set_epoch",
    "segment.model.combined_loss.class_weights.__globals__",
]


@pytest.mark.parametrize("target", HOSTILE)
def test_a_target_outside_trusted_modules_is_refused(target):
    with pytest.raises(UserError, match="is not allowed") as info:
        check_config({"model": {"_target_": target}})
    assert repr(target) in str(info.value)


def test_the_remedy_is_trust_only_for_other_packages():
    with pytest.raises(UserError, match="if you know what it is and trust it, allow its module by trust=\\[mine\\]"):
        check_config({"model": {"_target_": "mine.Net"}})
    with pytest.raises(UserError, match="this version of segment has no such class for checkpoints; use the version"):
        check_config({"model": {"_target_": "segment.model.loss.DeepSupervision"}})


HELD = {"_target_": "os.system", "_args_": ["touch mark"]}


@pytest.mark.parametrize(
    "node",
    [
        {"a": [1, [HELD]]},
        {"a": (1, {"b": (HELD,)})},
        OrderedDict(a=HELD),
        {"_target_": "torch.nn.Identity", "x": HELD},
        {"_target_": "torch.nn.Identity", "_recursive_": False, "_args_": [HELD]},
        {"_target_": ["os.system"]},
    ],
)
def test_a_hostile_target_is_found_at_any_depth(node):
    with pytest.raises(UserError, match="is not allowed"):
        check_config(node)


@pytest.mark.parametrize(
    "node",
    [
        {"lr": "${oc.env:SECRET}"},
        ["${hydra:runtime.cwd}"],
        "a ${b} c",
    ],
)
def test_interpolations_are_refused(node):
    with pytest.raises(UserError, match=r"\$\{.*not resolved"):
        check_config(node)


@pytest.mark.parametrize("value", [torch.zeros(1), {1, 2}, b"x", 1j, OmegaConf.create({"a": 1})])
def test_objects_that_are_not_plain_values_are_refused(value):
    with pytest.raises(UserError, match="not a plain value"):
        check_config({"a": [value]})


def test_plain_values_do_not_change():
    node = {"a": [1, 2.5, True, None, "text", float("inf")], "b": {"c": (1, 2)}, 3: "int key"}
    assert check_config(node) == {"a": [1, 2.5, True, None, "text", float("inf")], "b": {"c": [1, 2]}, 3: "int key"}


def options(group):
    return [f"{group}={path.stem}" for path in sorted((CONF / group).glob("*.yaml"))]


OURS = ("experiment", "model/net", "model/criterion", "scheduler", "preprocess")


@pytest.mark.parametrize("choice", [choice for group in OURS for choice in options(group)])
def test_our_own_configurations_are_trusted(choice):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("train", overrides=["run_dir=.", choice])
    config = OmegaConf.to_container(cfg, resolve=True)
    held = without_training({key: config[key] for key in CHECKPOINT_KEYS})
    assert check_config(held) == held


def test_a_hostile_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny.config()
    config["model"]["postprocess"] = {"_target_": "torch.nn.functional.os.system", "_args_": ["touch mark"]}
    with pytest.raises(UserError, match=r"'torch\.nn\.functional\.os\.system', which is not allowed"):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", config))
    assert not (tmp_path / "mark").exists()
