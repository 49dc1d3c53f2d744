import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from omegaconf import OmegaConf

from segment import build
from segment.checkpoint.load import check_resumable, load_model, steps_of
from segment.errors import UserError
from segment.io.read import read_ct


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


def test_a_checkpoint_is_all_that_prediction_needs(ckpt, tmp_path):
    trained = load_model(ckpt)
    hu, classes = tiny.body()
    scan = read_ct(tiny.save(tmp_path / "ct.nii.gz", hu))
    assert trained.organs == tiny.ORGANS
    assert not trained.module.training
    assert np.array_equal(trained.segmenter(scan), classes)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such checkpoint: .*no\.ckpt; a run's best one is"):
        load_model(tmp_path / "no.ckpt")
    with pytest.raises(UserError, match=r"is a folder, not a checkpoint; name the file, e\.g\. <run folder>/check"):
        load_model(tmp_path)


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


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", r"cannot read .*best\.ckpt: it is no PyTorch file, or damaged or cut off; copy it again"),
        ("cut", "it is no PyTorch file, or damaged or cut off; copy it again"),
        ("text", "it is no PyTorch file, or damaged or cut off; copy it again"),
        ("code", "it holds Python objects, which could run code, .*; give a run's own"),
        ("pickle", "it is no PyTorch file, or damaged or cut off; copy it again"),
        ("tensor", r"was not written by `segment train` \(it holds one Tensor\); give a run's own"),
        ("foreign", r"was not written by `segment train` \(it holds state_dict, hyper_parameters\); give a run's own"),
        ("facts", r"was not written by `segment train` \(it holds segment, state_dict\); give a run's own"),
    ],
)
def test_files_that_are_no_checkpoints_are_refused_and_run_nothing(ckpt, tmp_path, kind, message):
    damaged(ckpt, kind, tmp_path / "mark")
    with pytest.raises(UserError, match=message) as info:
        load_model(ckpt)
    assert len(str(info.value).splitlines()) == 1
    assert not (tmp_path / "mark").exists()


def test_a_checkpoint_without_preprocessing_is_refused(tmp_path):
    held = tiny.config()
    del held["preprocess"]
    with pytest.raises(UserError, match="lacks preprocess"):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", held))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"_target_": "torch.nn.ReLU"}}, "its model is a ReLU"),
        ({"model": {**tiny.config()["model"], "new_option": 3}}, "cannot be loaded by this version"),
        ({"model": {**tiny.config()["model"], "organs": ["liver"]}}, "cannot be loaded"),  # another size of weights
    ],
)
def test_what_cannot_be_rebuilt_says_so(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", {**tiny.config(), **change}))


def test_a_network_from_elsewhere_needs_trust(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text("import torch\n\nclass Net(torch.nn.Conv3d):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    held = tiny.config()
    held["model"]["net"]["_target_"] = "mynet.Net"
    ckpt = tiny.write_checkpoint(tmp_path / "x.ckpt", held)
    with pytest.raises(UserError, match=r"'mynet\.Net', which is not allowed.*trust=\[mynet\]"):
        load_model(ckpt)
    assert type(load_model(ckpt, trust=["mynet"]).module.net).__name__ == "Net"


def test_steps_are_those_of_the_checkpoint(ckpt):
    assert steps_of(ckpt) == 7


def module_with(facts):
    held = facts["config"]
    module = build.instantiate(OmegaConf.create(held["model"]), _convert_="all")
    module.checkpoint_metadata = facts
    return module


def test_a_checkpoint_of_the_same_run_is_resumable(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    facts = {"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "b"]}
    check_resumable(ckpt, module_with(facts), other_data=False)


def test_other_organs_networks_and_data_are_not_resumed(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    held = tiny.config()
    facts = {"config": {**held, "organs": ["liver", "left_kidney"]}, "split": {}, "voxel_hashes": ["a", "b"]}
    with pytest.raises(UserError, match="was trained for liver, spleen, not for liver, left_kidney"):
        check_resumable(ckpt, module_with(facts), other_data=False)
    held["model"]["net"]["kernel_size"] = 3
    facts = {"config": held, "split": {}, "voxel_hashes": ["a", "b"]}
    message = r"another network: net\.weight is \(3, 1, 1, 1, 1\) there, \(3, 1, 3, 3, 3\) here; start a new run"
    with pytest.raises(UserError, match=message):
        check_resumable(ckpt, module_with(facts), other_data=False)
    module = module_with({"config": tiny.config(), "split": {}, "voxel_hashes": ["a", "c"]})
    with pytest.raises(UserError, match="was trained on other CTs"):
        check_resumable(ckpt, module, other_data=False)
    check_resumable(ckpt, module, other_data=True)
    module = module_with({"config": tiny.config(), "split": {"train": ["set/a"]}, "voxel_hashes": ["a", "b"]})
    with pytest.raises(UserError, match="another split of them"):
        check_resumable(ckpt, module, other_data=False)


def test_after_training_went_on_with_other_data_the_next_resume_needs_no_leave(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b", "c"])
    facts = {"config": tiny.config(), "split": {}, "voxel_hashes": ["b", "c"]}
    check_resumable(ckpt, module_with(facts), other_data=False)
