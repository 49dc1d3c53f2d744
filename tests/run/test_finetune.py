"""`init_from`: what is loaded, refused and logged; tests/test_recipes.py trains with it."""

import hashlib
import json
import logging
from types import SimpleNamespace

import pytest
import tiny
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segment.errors import UserError
from segment.run.finetune import check_repeated, checksum, load_initial_weights


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def setting(organs=("liver", "spleen"), config=None):
    """A configuration and its module, as `segment train` has them before training."""
    config = config or tiny.config()
    config["organs"] = config["model"]["organs"] = list(organs)
    config["model"]["tolerance_mm"] = dict.fromkeys(organs, 3)
    cfg = OmegaConf.create({"init_from": "a.ckpt", "resume": False, "model": config["model"]})
    torch.manual_seed(0)
    module = instantiate(cfg.model, _convert_="all")
    module.checkpoint_metadata = {"config": config, "split": {}, "voxel_hashes": []}
    return cfg, module


def data(shared=False, **hashes_by_part):
    """A data module whose case ids are their voxel hashes."""
    parts = {part: [SimpleNamespace(id=name) for name in hashes_by_part.get(part, "")] for part in ("val", "test")}
    volumes = {case.id: SimpleNamespace(meta={"voxel_hash": case.id}) for cases in parts.values() for case in cases}
    split = SimpleNamespace(**parts, shared=shared)
    return SimpleNamespace(split=split, volumes=volumes, voxel_hashes=lambda: list(hashes_by_part.get("train", "")))


def test_output_rows_are_matched_by_organ(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=["p", "q"])
    cfg, module = setting(["aorta", "spleen", "liver"])
    fresh = module.net.bias[1].item()
    load_initial_weights(cfg, module, data(train="qr"))
    assert module.net.bias.tolist() == pytest.approx([0.0, fresh, -4.4, -1.2])
    assert module.net.weight.flatten()[[0, 2, 3]].tolist() == pytest.approx([0.0, 6.0, 2.0])
    assert module.checkpoint_metadata["voxel_hashes"] == ["p", "q", "r"]
    assert "init_from=a.ckpt: 2 tensors loaded, 100 % of the weights" in caplog.text
    assert "organs that start untrained: aorta" in caplog.text
    assert "other preprocessing" not in caplog.text


def test_unused_tensors_and_other_preprocessing_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tiny.write_checkpoint(tmp_path / "a.ckpt", tiny.config([2.0, 2.0, 2.0]))
    content = torch.load(path, weights_only=True)
    del content["state_dict"]["net.bias"]
    torch.save(content | {"state_dict": content["state_dict"] | {"net.old": torch.zeros(1)}}, path)
    cfg, module = setting()
    load_initial_weights(cfg, module, data())
    assert "not loaded: bias (not in the checkpoint)" in caplog.text
    assert "in the checkpoint, but not used: old" in caplog.text
    assert "init_from=a.ckpt was trained with other preprocessing" in caplog.text


def test_other_network_is_refused_with_the_first_difference(tmp_path):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    config = tiny.config()
    config["model"]["net"]["kernel_size"] = 3
    cfg, module = setting(config=config)
    message = (
        r"init_from=a\.ckpt holds another network: weight "
        r"\(shape \(3, 1, 1, 1, 1\) in the checkpoint, \(3, 1, 3, 3, 3\) in the network\)"
    )
    with pytest.raises(UserError, match=message):
        load_initial_weights(cfg, module, data())


def test_test_case_that_the_checkpoint_was_trained_on_is_refused(tmp_path, caplog):
    tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=["p", "q"])
    cfg, module = setting()
    with pytest.raises(
        UserError, match="was trained or selected on q, which is a test case of this split; leave it out"
    ):
        load_initial_weights(cfg, module, data(test="xq"))
    load_initial_weights(cfg, module, data(test="xq", shared=True))  # overfitting one case on purpose
    assert "validation scores" not in caplog.text
    load_initial_weights(cfg, module, data(val="p", test="x"))
    assert "init_from=a.ckpt was trained on p; as validation cases, they will score too high" in caplog.text


def test_cases_with_the_names_of_training_cases_are_pointed_out(tmp_path, caplog):
    """The same patient may have other voxels, for example after another export."""
    path = tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=["p"])
    content = torch.load(path, weights_only=True)
    content["segment"]["split"] = {"train": ["p", "q"], "val": ["r"], "test": ["s"]}
    torch.save(content, path)
    cfg, module = setting()
    load_initial_weights(cfg, module, data(val="ps", test="t"))  # p is known by its voxels, s was a test case
    assert "with the names of" not in caplog.text
    load_initial_weights(cfg, module, data(val="r", test="qt", shared=True))
    assert "with the names of" not in caplog.text
    load_initial_weights(cfg, module, data(val="r", test="qt"))
    assert "on cases with the names of 2 validation or test cases, first r; if they are the same" in caplog.text


def test_the_checkpoint_is_identified_by_its_content(tmp_path, monkeypatch):
    path = tiny.write_checkpoint(tmp_path / "a.ckpt")
    cfg, _ = setting()
    assert checksum(cfg) == hashlib.sha256(path.read_bytes()).hexdigest()
    cfg.init_from = None
    assert checksum(cfg) is None
    cfg.init_from = "none.ckpt"
    with pytest.raises(UserError, match=r"no such checkpoint: init_from=none\.ckpt"):
        checksum(cfg)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")  # the job resumes its run, and the file may no longer exist
    assert checksum(cfg) is None
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    cfg.resume = True
    assert checksum(cfg) is None


def test_a_repeated_run_needs_the_same_checkpoint(tmp_path):
    cfg, _ = setting()
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "environment.json").write_text(json.dumps({"facts": {"init_sha256": "abc"}}))
    cfg = OmegaConf.merge(cfg, {"from_run": "before"})
    check_repeated(cfg, "abc")
    with pytest.raises(UserError, match=r"init_from=a\.ckpt is not the file that before started with, .* is abc"):
        check_repeated(cfg, "def")


def test_unsafe_file_is_refused(tmp_path):
    torch.save({"segment": torch.nn.ReLU()}, tmp_path / "a.ckpt")
    cfg, module = setting()
    with pytest.raises(UserError, match=r"cannot read a\.ckpt: "):
        load_initial_weights(cfg, module, data())


def test_the_starter_weights_of_the_package_are_taken(starter, caplog):
    caplog.set_level(logging.INFO)
    cfg, module = setting()
    cfg.init_from = "starter"
    assert checksum(cfg) == starter.with_suffix(".sha256").read_text().split()[0]
    load_initial_weights(cfg, module, data())
    assert module.net.bias.tolist() == pytest.approx(tiny.BIAS)
    assert "init_from=starter: 2 tensors loaded, 100 % of the weights" in caplog.text


def test_a_resumed_run_does_not_need_the_starter_weights(starter):
    cfg, _ = setting()
    cfg.init_from = "starter"
    before = checksum(cfg)
    cfg.resume = True
    assert checksum(cfg) == before
    starter.unlink()
    assert checksum(cfg) is None
    cfg.resume = False
    with pytest.raises(UserError, match="this installation has no starter weights"):
        checksum(cfg)
