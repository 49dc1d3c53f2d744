"""Ensembles of checkpoints, in `segment predict` and `segment evaluate`."""

import copy
import hashlib

import nibabel as nib
import numpy as np
import pytest
import tiny
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segment.checkpoint import load_ensemble as ensemble
from segment.commands.command import config_dir
from segment.commands.evaluate import evaluate
from segment.commands.predict import predict
from segment.data.store.fingerprint import voxel_hash
from segment.errors import UserError
from segment.io.read import read_ct
from segment.metrics.cases_csv import read_cases
from segment.run.resume import recorded_facts


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def background_only(path, **metadata):
    """A checkpoint of a network that predicts background everywhere."""
    tiny.write_checkpoint(path, **metadata)
    content = torch.load(path, weights_only=True)
    content["state_dict"]["net.bias"] = torch.tensor([0.0, -100, -100])
    content["state_dict"]["net.weight"].zero_()
    torch.save(content, path)
    return path


def segment(tmp_path, ckpt, *overrides):
    hu, _ = tiny.body()
    tiny.save(tmp_path / "ct.nii.gz", hu)
    arguments = [f"ckpt={ckpt}", "input=ct.nii.gz", "output=masks", "pictures=false", "device=cpu", *overrides]
    with initialize_config_dir(config_dir(), version_base="1.3"):
        predict(compose("predict", arguments))
    return np.asarray(nib.load(tmp_path / "masks" / "ct_seg.nii.gz").dataobj)


def test_the_mask_comes_from_the_mean_probabilities(tmp_path):
    """Three normal members and one that predicts only background.

    In the liver, the logits 0, 0.2, -0.2 of a normal member are probabilities 0.329, 0.402, 0.269. The sum for liver is
    3·0.402, below 3·0.329 + 1 for background. In the spleen, 0, 0.75, 1.45 are 0.136, 0.287, 0.578. The sum for spleen
    is 3·0.578, above 3·0.136 + 1 for background.
    """
    for name in "abc":
        tiny.write_checkpoint(tmp_path / f"{name}.ckpt")
    background_only(tmp_path / "d.ckpt")
    _, classes = tiny.body()
    mask = segment(tmp_path, "[a.ckpt,b.ckpt,c.ckpt,d.ckpt]")
    assert np.array_equal(mask, np.where(classes == 2, 2, 0))
    lines = (tmp_path / "masks" / "checkpoint.sha256").read_text().splitlines()
    hashes = [hashlib.sha256((tmp_path / f"{name}.ckpt").read_bytes()).hexdigest() for name in "abcd"]
    assert lines == [f"{value}  {name}.ckpt" for value, name in zip(hashes, "abcd", strict=True)]


def test_a_glob_gives_checkpoints_in_order(tmp_path):
    for name in "ba":
        tiny.write_checkpoint(tmp_path / "runs" / name / "checkpoints" / "best.ckpt")
    loaded = ensemble.load("runs/*/checkpoints/best.ckpt")
    assert [str(path) for path in loaded.paths] == [f"runs/{name}/checkpoints/best.ckpt" for name in "ab"]
    _, classes = tiny.body()
    assert np.array_equal(segment(tmp_path, "runs/*/checkpoints/best.ckpt"), classes)


def test_masks_of_different_ensembles_are_not_mixed(tmp_path):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    background_only(tmp_path / "b.ckpt")
    segment(tmp_path, "[a.ckpt,a.ckpt]")
    with pytest.raises(UserError, match=r"were not made by a\.ckpt, b\.ckpt; choose another output"):
        segment(tmp_path, "[a.ckpt,b.ckpt]", "resume=true")
    segment(tmp_path, "[a.ckpt,a.ckpt]", "resume=true")


def changed_config(**changes):
    config = copy.deepcopy(tiny.config())
    for key, value in changes.items():
        OmegaConf.update(config := OmegaConf.create(config), key.replace("__", "."), value)
        config = OmegaConf.to_container(config)
    return config


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (
            changed_config(organs=["spleen", "liver"]),
            r"organs is \['liver', 'spleen'\] in the first and \['spleen', 'liver'\]",
        ),
        (changed_config(preprocess=tiny.config([2.0, 2.0, 2.0])["preprocess"]), "preprocess.transforms is "),
        (changed_config(model__tolerance_mm__liver=1), "tolerance_mm.liver is 5 in the first and 1"),
        (
            changed_config(
                model__postprocess={
                    "_target_": "segment.inference.postprocess.clean_up.CleanUp",
                    "organs": ["liver", "spleen"],
                    "steps": {},
                    "left_out": {},
                }
            ),
            r"postprocess\._target_ is None in the first and",
        ),
    ],
)
def test_members_that_differ_in_a_shared_setting_are_refused(tmp_path, config, difference):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    tiny.write_checkpoint(tmp_path / "b.ckpt", config)
    with pytest.raises(UserError, match=f"a.ckpt and b.ckpt cannot form an ensemble: {difference}"):
        ensemble.load(["a.ckpt", "b.ckpt"])


def test_members_may_have_different_windows(tmp_path):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    tiny.write_checkpoint(tmp_path / "b.ckpt", changed_config(model__inferer__overlap=4))
    assert len(ensemble.load(["a.ckpt", "b.ckpt"]).members) == 2


@pytest.mark.parametrize(
    ("ckpt", "message"),
    [([], "names no checkpoint"), (["a.ckpt", "b.ckpt"], "no such checkpoint: b.ckpt"), ("x/*.ckpt", r"x/\*\.ckpt")],
)
def test_missing_checkpoints_are_named(tmp_path, ckpt, message):
    tiny.write_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=message):
        ensemble.load(ckpt)


def test_training_cases_of_any_member_are_left_out(tmp_path, capsys):
    for seed in range(4):
        tiny.write_case(tmp_path / "data", f"case{seed}", seed)
    content = {seed: voxel_hash(read_ct(tmp_path / "data" / "images" / f"case{seed}.nii.gz").data) for seed in range(4)}
    tiny.write_checkpoint(tmp_path / "a.ckpt", voxel_hashes=[content[0]])
    tiny.write_checkpoint(tmp_path / "b.ckpt", voxel_hashes=[content[2]])
    codes = "{liver: 6, spleen: 1, stomach: [7, 9]}"
    data = ["data=folder", "data.sources.folder.root=data", f"data.sources.folder.label_codes={codes}"]
    with initialize_config_dir(config_dir(), version_base="1.3"):
        evaluate(compose("evaluate", ["ckpt=[a.ckpt,b.ckpt]", "run_dir=run", "pictures=false", *data]))
    assert {case for case, _ in read_cases(tmp_path / "run" / "cases.csv")} == {"folder/case1", "folder/case3"}
    assert all(score.dice == 1 for _, score in read_cases(tmp_path / "run" / "cases.csv"))
    assert "left out 2 of 4 cases" in capsys.readouterr().out
    config = OmegaConf.load(tmp_path / "run" / "config.yaml")
    assert list(config.ckpt) == ["a.ckpt", "b.ckpt"]
    assert len(set(recorded_facts(tmp_path / "run")["ckpt_sha256"])) == 2
