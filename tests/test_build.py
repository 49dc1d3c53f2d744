import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import tiny
import torch
from omegaconf import OmegaConf

from segment import build
from segment.data.readers.read import read_ct
from segment.errors import UserError


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


def test_a_checkpoint_is_all_that_prediction_needs(ckpt, tmp_path):
    trained = build.load(ckpt)
    hu, classes = tiny.body()
    scan = read_ct(tiny.save(tmp_path / "ct.nii.gz", hu))
    assert trained.organs == tiny.ORGANS
    assert not trained.module.training
    assert np.array_equal(trained.segmenter(scan), classes)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such checkpoint: .*no\.ckpt"):
        build.load(tmp_path / "no.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        build.load(tmp_path)


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def damaged(path, kind, mark):
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("epoch: 3\n")
    elif kind == "code":
        torch.save({"segment": Bomb(mark)}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "foreign":
        torch.save({"state_dict": {}, "hyper_parameters": {}}, path)
    elif kind == "facts":
        torch.save({"segment": [1], "state_dict": {}}, path)


@pytest.mark.parametrize("kind", ["empty", "cut", "text", "code", "pickle", "tensor", "foreign", "facts"])
def test_files_that_are_no_checkpoints_are_refused_and_run_nothing(ckpt, tmp_path, kind):
    damaged(ckpt, kind, tmp_path / "mark")
    with pytest.raises(UserError, match=r"best\.ckpt is not a checkpoint of `segment train` or is damaged") as info:
        build.load(ckpt)
    assert len(str(info.value).splitlines()) == 1
    assert not (tmp_path / "mark").exists()


def test_a_checkpoint_without_preprocessing_is_refused(tmp_path):
    held = tiny.config()
    del held["preprocess"]
    with pytest.raises(UserError, match="lacks preprocess"):
        build.load(tiny.write_checkpoint(tmp_path / "x.ckpt", held))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"_target_": "torch.nn.ReLU"}}, "its model is a ReLU"),
        ({"model": {**tiny.config()["model"], "new_option": 3}}, "cannot be rebuilt by this version"),
        ({"model": {**tiny.config()["model"], "organs": ["liver"]}}, "cannot be rebuilt"),  # another size of weights
    ],
)
def test_what_cannot_be_rebuilt_says_so(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        build.load(tiny.write_checkpoint(tmp_path / "x.ckpt", {**tiny.config(), **change}))


def test_a_network_from_elsewhere_needs_trust(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text("import torch\n\nclass Net(torch.nn.Conv3d):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    held = tiny.config()
    held["model"]["net"]["_target_"] = "mynet.Net"
    ckpt = tiny.write_checkpoint(tmp_path / "x.ckpt", held)
    with pytest.raises(UserError, match=r"'mynet\.Net', which is not allowed.*trust=\[mynet\]"):
        build.load(ckpt)
    assert type(build.load(ckpt, trust=["mynet"]).module.net).__name__ == "Net"


def test_steps_are_those_of_the_checkpoint(ckpt):
    assert build.steps_of(ckpt) == 7


def module_with(facts):
    held = facts["config"]
    module = build.instantiate(OmegaConf.create(held["model"]), _convert_="all")
    module.checkpoint_facts = facts
    return module


def test_a_checkpoint_of_the_same_run_is_resumable(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    facts = {"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "b"]}
    build.check_resumable(ckpt, module_with(facts), other_data=False)


def test_other_organs_networks_and_data_are_not_resumed(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    held = tiny.config()
    facts = {"config": {**held, "organs": ["liver", "left_kidney"]}, "split": {}, "voxel_hashes": ["a", "b"]}
    with pytest.raises(UserError, match="was trained for liver, spleen, not for liver, left_kidney"):
        build.check_resumable(ckpt, module_with(facts), other_data=False)
    held["model"]["net"]["kernel_size"] = 3
    facts = {"config": held, "split": {}, "voxel_hashes": ["a", "b"]}
    message = r"another network: net\.weight is \(3, 1, 1, 1, 1\) there, \(3, 1, 3, 3, 3\) here"
    with pytest.raises(UserError, match=message):
        build.check_resumable(ckpt, module_with(facts), other_data=False)
    module = module_with({"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "c"]})
    with pytest.raises(UserError, match="was trained on other CTs"):
        build.check_resumable(ckpt, module, other_data=False)
    build.check_resumable(ckpt, module, other_data=True)
    module = module_with({"config": tiny.config(), "split": {"train": ["set/a"]}, "voxel_hashes": ["a", "b"]})
    with pytest.raises(UserError, match="another split of them"):
        build.check_resumable(ckpt, module, other_data=False)


def test_after_training_went_on_with_other_data_the_next_resume_needs_no_leave(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b", "c"])
    facts = {"config": tiny.config(), "split": {}, "voxel_hashes": ["b", "c"]}
    build.check_resumable(ckpt, module_with(facts), other_data=False)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed", "16-true", "bf16-true", 16])
@pytest.mark.parametrize("accelerator", ["cpu", "auto"])
def test_half_precision_on_a_cpu_without_it_is_refused(monkeypatch, precision, accelerator):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    trainer = OmegaConf.create({"precision": precision, "accelerator": accelerator})
    with pytest.raises(UserError, match=r"use trainer\.precision=32-true"):
        build.check_precision(trainer)


@pytest.mark.parametrize(
    ("trainer", "gpu", "bf16"),
    [
        ({"precision": "32-true", "accelerator": "cpu"}, False, False),
        ({"accelerator": "cpu"}, False, False),
        ({"precision": "16-mixed", "accelerator": "gpu"}, False, False),  # Lightning says that there is none
        ({"precision": "16-mixed", "accelerator": "auto"}, True, False),
        ({"precision": "bf16-mixed"}, False, True),
        ({"precision": "64-true", "accelerator": "cpu"}, False, False),
    ],
)
def test_precisions_that_the_machine_has_pass(monkeypatch, trainer, gpu, bf16):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    build.check_precision(OmegaConf.create(trainer))


def test_half_floats_are_not_bfloats(monkeypatch):
    """AVX512-BF16 does not help 16-mixed, which Lightning turns into bf16 on a CPU only with a warning."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    with pytest.raises(UserError, match="16-mixed"):
        build.check_precision(OmegaConf.create({"precision": "16-mixed", "accelerator": "cpu"}))


def test_devices_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert build.device("auto") == build.device("cpu") == torch.device("cpu")
    for name in ("cuda:7", "gpu", "tpu0"):
        with pytest.raises(UserError, match=f"device={name} cannot be used here"):
            build.device(name)


def test_closing_ends_the_loggers_whatever_became_of_the_run(tmp_path):
    ended = []

    class Logger(pl.loggers.logger.DummyLogger):
        def finalize(self, status):
            ended.append(status)

    trainer = pl.Trainer(accelerator="cpu", logger=[Logger()], default_root_dir=tmp_path, enable_progress_bar=False)
    build.close(trainer)
    assert ended == ["failed"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208
