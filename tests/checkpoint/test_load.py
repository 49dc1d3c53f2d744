import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from segment.checkpoint.load import STAND_INS, USED, load_model
from segment.configuration.consistency import OUR_MODULE
from segment.errors import UserError
from segment.io.read import read_ct
from segment.model.module import SegmentationModule


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


def test_prediction_needs_only_the_checkpoint(ckpt, tmp_path):
    trained = load_model(ckpt)
    hu, classes = tiny.body()
    scan = read_ct(tiny.save(tmp_path / "ct.nii.gz", hu))
    assert trained.organs == tiny.ORGANS
    assert not trained.net.training
    assert np.array_equal(trained.segmenter(scan), classes)


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no such checkpoint: .*no\.ckpt; a run's best one is"):
        load_model(tmp_path / "no.ckpt")
    with pytest.raises(UserError, match=r"is a folder, not a checkpoint; name the file, e\.g\. <run folder>/check"):
        load_model(tmp_path)


class Bomb:
    """Writes a file when it is unpickled."""

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
    elif kind == "metadata":
        torch.save({"segment": [1], "state_dict": {}}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", r"cannot read .*best\.ckpt: it is not a PyTorch file, or it is damaged or incomplete; copy it again"),
        ("cut", "it is not a PyTorch file, or it is damaged or incomplete; copy it again"),
        ("text", "it is not a PyTorch file, or it is damaged or incomplete; copy it again"),
        ("code", "it holds Python objects, which could run code, .*; give a run's own"),
        ("pickle", "it is not a PyTorch file, or it is damaged or incomplete; copy it again"),
        ("tensor", r"was not written by `segment train` \(it holds one Tensor\); give a run's own"),
        ("foreign", r"was not written by `segment train` \(it holds state_dict, hyper_parameters\); give a run's own"),
        ("metadata", r"was not written by `segment train` \(it holds segment, state_dict\); give a run's own"),
    ],
)
def test_files_that_are_not_checkpoints_are_refused_and_run_no_code(ckpt, tmp_path, kind, message):
    damaged(ckpt, kind, tmp_path / "mark")
    with pytest.raises(UserError, match=message) as info:
        load_model(ckpt)
    assert len(str(info.value).splitlines()) == 1
    assert not (tmp_path / "mark").exists()


def test_a_checkpoint_without_preprocessing_is_refused(tmp_path):
    config = tiny.config()
    del config["preprocess"]
    with pytest.raises(UserError, match="lacks preprocess"):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", config))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"_target_": "torch.nn.ReLU"}}, "its model is a ReLU"),
        ({"model": {**tiny.config()["model"], "new_option": 3}}, "its model has the unknown option new_option"),
        (
            {"model": {**tiny.config()["model"], "organs": ["liver"]}},
            "cannot be loaded",
        ),  # other shapes
    ],
)
def test_a_checkpoint_that_this_version_cannot_load_is_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", {**tiny.config(), **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net": {"_target_": "monai.networks.nets.UNet", "_partial_": True, "channels": [4]}}, "cannot be loaded"),
        ({"tolerance_mm": "abc"}, "cannot be loaded"),
        ({"tolerance_mm": {"liver": 5}}, "tolerance_mm has no value for spleen"),
    ],
)
def test_any_error_of_a_constructor_is_reported_with_the_checkpoint(tmp_path, change, message):
    changed = tiny.config()
    changed["model"] |= change
    with pytest.raises(UserError, match=message):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", changed))


def test_weights_of_another_name_are_refused(tmp_path):
    for prefix in ("network", "net.net"):
        with pytest.raises(UserError, match="cannot be loaded by this version"):
            load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", prefix=prefix))


def test_a_module_of_the_user_segments_in_its_own_way_if_it_is_trusted(tmp_path, monkeypatch):
    (tmp_path / "mymodule.py").write_text(
        "from segment.model.module import SegmentationModule\n\n"
        "class Mine(SegmentationModule):\n"
        "    def __init__(self, **arguments):\n"
        "        super().__init__(**arguments)\n"
        "        self.segmenter.postprocess = lambda mask, affine: 0 * mask\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny.config()
    config["model"]["_target_"] = "mymodule.Mine"
    path = tiny.write_checkpoint(tmp_path / "x.ckpt", config)
    with pytest.raises(UserError, match=r"'mymodule\.Mine', which is not allowed.*trust=\[mymodule\]"):
        load_model(path)
    scan = read_ct(tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0]))
    assert not load_model(path, trust=["mymodule"]).segmenter(scan).any()


def test_the_parts_of_a_module_are_the_arguments_of_its_class():
    assert {*USED, *STAND_INS} == set(inspect.signature(SegmentationModule).parameters)
    assert f"{SegmentationModule.__module__}.{SegmentationModule.__name__}" == OUR_MODULE


def test_the_loss_is_neither_built_nor_trusted(tmp_path, monkeypatch):
    (tmp_path / "myloss.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    held = tiny.config()
    held["model"]["criterion"] = {"_target_": "myloss.Loss"}
    path = tiny.write_checkpoint(tmp_path / "x.ckpt", held)
    content = torch.load(path, weights_only=True)
    content["state_dict"]["criterion.criterion.class_weight"] = torch.ones(3)
    torch.save(content, path)
    trained = load_model(path)
    assert set(trained.net.state_dict()) == {"weight", "bias"}
    assert trained.metadata["config"]["model"]["criterion"] == {"_target_": "myloss.Loss"}


def test_a_network_from_another_module_needs_trust(tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text("import torch\n\nclass Net(torch.nn.Conv3d):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny.config()
    config["model"]["net"]["_target_"] = "mynet.Net"
    ckpt = tiny.write_checkpoint(tmp_path / "x.ckpt", config)
    with pytest.raises(UserError, match=r"'mynet\.Net', which is not allowed.*trust=\[mynet\]"):
        load_model(ckpt)
    assert type(load_model(ckpt, trust=["mynet"]).net).__name__ == "Net"
