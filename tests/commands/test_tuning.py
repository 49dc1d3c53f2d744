"""`segment evaluate tune_postprocessing=true`."""

import csv

import numpy as np
import pytest
import tiny
from organ_masks import affine as mask_affine
from run_commands import config

from segment.checkpoint.load import load_model
from segment.commands.evaluate import evaluate
from segment.errors import UserError
from segment.inference.postprocess.clean_up import CleanUp
from segment.inference.postprocess.steps import FillHoles, RemoveFragments
from segment.inference.postprocess.tuning import measure_steps, organs_left_out, read_gains
from segment.io.read import read_ct

CODES = "{liver: 6, spleen: 1, stomach: [7, 9]}"


@pytest.fixture
def data(tmp_path):
    """Cases in which the network segments a second, false piece of liver, and one true piece of a spleen in two."""
    for seed in range(2):
        tiny.write_case(tmp_path / "data", f"case{seed}", seed)
        image = tmp_path / "data" / "images" / f"case{seed}.nii.gz"
        label = tmp_path / "data" / "labels" / f"case{seed}.nii.gz"
        values, codes = read_ct(image).data.copy(), np.array([0, 6, 1], np.uint8)[tiny.body(seed)[1]]
        values[20:21, 3:6, 3:6] = tiny.LIVER  # 9 voxels that are not liver
        values[4:8, 5:9, 3:5] = tiny.SPLEEN  # a second part of the spleen: 32 beside 48 or 64 voxels
        codes[4:8, 5:9, 3:5] = 1
        tiny.save(image, values)
        tiny.save(label, codes)
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path, data):
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt")

    def call(*overrides, ckpt=ckpt):
        source = ["data=folder", f"data.sources.folder.root={data}", f"data.sources.folder.label_codes={CODES}"]
        steps = ["postprocess.misplaced=null", "postprocess.small=null", "postprocess.fragments.min_share=1"]
        steps.append("postprocess.fragments.min_share_connected=1")
        arguments = [f"ckpt={ckpt}", f"run_dir={tmp_path / 'run'}", "pictures=false", *source, *steps, *overrides]
        evaluate(config("evaluate", *arguments))
        return tmp_path / "run"

    return call


def test_steps_are_kept_where_they_help(run, tmp_path, capsys):
    folder = run("tune_postprocessing=true")
    gains = read_gains(folder / "postprocessing.csv")
    assert set(gains) == {(step, organ) for step in ("fragments", "holes") for organ in ("liver", "spleen")}
    liver, spleen = gains["fragments", "liver"], gains["fragments", "spleen"]
    assert (liver.cases, liver.changed) == (2, 2)
    assert liver.lowest > 0
    assert spleen.highest < 0
    assert gains["holes", "liver"].changed == 0
    assert organs_left_out(gains) == {"fragments": ["spleen"]}
    printed = capsys.readouterr().out
    assert f"{liver.mean:+.4f}" in printed
    assert "kept, untried" in printed
    clean_up = load_model(folder / "tuned.ckpt").segmenter.postprocess
    assert isinstance(clean_up, CleanUp)
    assert clean_up.left_out == {"fragments": ["spleen"]}
    with (folder / "cases.csv").open() as file:  # the scores are those of the checkpoint as it was
        assert all(float(row["dice"]) < 1 for row in csv.DictReader(file) if row["organ"] == "liver")
    with pytest.raises(UserError, match="no case is left to score"):  # the cases have chosen the steps
        run(f"run_dir={tmp_path / 'again'}", ckpt=folder / "tuned.ckpt")
    run(f"run_dir={tmp_path / 'again'}", "include_trained=true", ckpt=folder / "tuned.ckpt")
    with (tmp_path / "again" / "cases.csv").open() as file:
        assert all(float(row["dice"]) == 1 for row in csv.DictReader(file))


def test_without_it_there_is_no_table(run):
    folder = run()
    assert not (folder / "postprocessing.csv").exists()
    assert not (folder / "tuned.ckpt").exists()


def test_dice_before_and_after_each_step():
    raw = np.array([1, 1, 1, 0, 1, 0, 2, 0, 2, 2], np.uint8)[:, None, None]
    reference = np.array([1, 1, 1, 0, 0, 0, 2, 0, 2, 2], np.uint8)[:, None, None]
    steps = {"fragments": RemoveFragments(1), "holes": FillHoles(1)}
    found = measure_steps(raw, reference, mask_affine(), ["a", "b", "c"], steps, [True, True, True, True])
    assert found["fragments", "a"] == (6 / 7, 1)
    assert found["fragments", "b"] == (1, 4 / 5)
    assert found["fragments", "c"] == (1, 1)  # absent, and not predicted
    assert found["holes", "b"] == (4 / 5, 4 / 5)
    assert ("fragments", "a") not in measure_steps(raw, reference, mask_affine(), ["a"], steps, [True, False])
