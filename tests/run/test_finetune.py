"""`init_from`: what is loaded, what is refused, and what the log says; tests/test_recipes.py trains with it."""

import hashlib
import logging
from types import SimpleNamespace

import pytest
import tiny
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segment.errors import UserError
from segment.run.finetune import begin_from, note_checkpoint


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def setting(organs=("liver", "spleen"), held=None):
    """A configuration and its module, as the door has them before training."""
    config = held or tiny.config()
    config["organs"] = config["model"]["organs"] = list(organs)
    config["model"]["tolerance_mm"] = dict.fromkeys(organs, 3)
    cfg = OmegaConf.create({"init_from": "a.ckpt", "init_sha256": None, "resume": False, "model": config["model"]})
    torch.manual_seed(0)
    module = instantiate(cfg.model, _convert_="all")
    module.checkpoint_metadata = {"config": config, "split": {}, "voxel_hashes": []}
    return cfg, module


def data(shared=False, **hashes_by_part):
    """A data module whose cases are called after their voxels."""
    parts = {part: [SimpleNamespace(id=name) for name in hashes_by_part.get(part, "")] for part in ("val", "test")}
    volumes = {case.id: SimpleNamespace(meta={"voxel_hash": case.id}) for cases in parts.values() for case in cases}
    split = SimpleNamespace(**parts, shared=shared)
    return SimpleNamespace(split=split, volumes=volumes, voxel_hashes=lambda: list(hashes_by_part.get("train", "")))


def test_rows_follow_the_names_of_organs_and_the_log_says_it(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=["p", "q"])
    cfg, module = setting(["aorta", "spleen", "liver"])
    fresh = module.net.bias[1].item()
    begin_from(cfg, module, data(train="qr"))
    assert module.net.bias.tolist() == pytest.approx([0.0, fresh, -4.4, -1.2])
    assert module.net.weight.flatten()[[0, 2, 3]].tolist() == pytest.approx([0.0, 6.0, 2.0])
    assert module.checkpoint_metadata["voxel_hashes"] == ["p", "q", "r"]
    assert "init_from=a.ckpt: 2 tensors loaded, 100 % of the weights" in caplog.text
    assert "begin untrained: aorta" in caplog.text
    assert "other preprocessing" not in caplog.text


def test_what_is_left_and_other_preprocessing_is_said(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tiny.write_checkpoint(tmp_path / "a.ckpt", tiny.config([2.0, 2.0, 2.0]))
    content = torch.load(path, weights_only=True)
    del content["state_dict"]["net.bias"]
    torch.save(content | {"state_dict": content["state_dict"] | {"net.old": torch.zeros(1)}}, path)
    cfg, module = setting()
    begin_from(cfg, module, data())
    assert "not loaded: bias (only here)" in caplog.text
    assert "of the checkpoint, not used: old" in caplog.text
    assert "init_from=a.ckpt was trained with other preprocessing" in caplog.text


def test_another_network_is_refused_with_the_first_difference(tmp_path):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    held = tiny.config()
    held["model"]["net"]["kernel_size"] = 3
    cfg, module = setting(held=held)
    message = r"init_from=a\.ckpt holds another network: weight \(\(3, 1, 1, 1, 1\) there, \(3, 1, 3, 3, 3\) here\)"
    with pytest.raises(UserError, match=message):
        begin_from(cfg, module, data())


def test_a_test_case_that_the_checkpoint_has_seen_is_refused(tmp_path, caplog):
    tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=["p", "q"])
    cfg, module = setting()
    with pytest.raises(UserError, match="was trained or selected on q, which the split has in test; leave it out"):
        begin_from(cfg, module, data(test="xq"))
    begin_from(cfg, module, data(test="xq", shared=True))  # learning one case by heart
    assert "validation scores" not in caplog.text
    begin_from(cfg, module, data(val="p", test="x"))
    assert "init_from=a.ckpt was trained on p: their validation scores also measure memory" in caplog.text


def test_the_checkpoint_is_told_by_its_content(tmp_path, monkeypatch):
    path = tiny.write_checkpoint(tmp_path / "a.ckpt")
    cfg, _ = setting()
    note_checkpoint(cfg)
    assert cfg.init_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    note_checkpoint(cfg)  # the same file
    path.write_bytes(b"other")
    with pytest.raises(UserError, match=r"init_from=a\.ckpt is not the file whose SHA-256 is init_sha256="):
        note_checkpoint(cfg)
    cfg.init_from, cfg.init_sha256 = None, None
    note_checkpoint(cfg)
    assert cfg.init_sha256 is None
    cfg.init_from = "none.ckpt"
    with pytest.raises(UserError, match=r"no such checkpoint: init_from=none\.ckpt"):
        note_checkpoint(cfg)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")  # the job goes on with its run, and the file may be gone
    note_checkpoint(cfg)
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    cfg.resume = True
    note_checkpoint(cfg)
    assert cfg.init_sha256 is None


def test_a_hostile_file_is_refused(tmp_path):
    torch.save({"segment": torch.nn.ReLU()}, tmp_path / "a.ckpt")
    cfg, module = setting()
    with pytest.raises(UserError, match=r"cannot read a\.ckpt: "):
        begin_from(cfg, module, data())
