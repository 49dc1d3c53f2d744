"""`segment evaluate confidence=...`."""

import json
from dataclasses import replace

import pytest
import tiny
from run_commands import config
from simple_calibration import calibration

import segment
from segment.checkpoint import load_ensemble
from segment.checkpoint.calibrated import calibration_path, find_calibration, identity
from segment.commands.evaluate import evaluate
from segment.commands.predict import predict
from segment.errors import UserError
from segment.inference.confidence import fit
from segment.inference.confidence.table import read_rows

CODES = "{liver: 6, spleen: 1, stomach: [7, 9]}"


@pytest.fixture
def run(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "best.ckpt")
    for number in range(8):
        tiny.write_case(tmp_path / "data", f"case{number}", number % 3)

    def call(*overrides, ckpt=ckpt, name="run"):
        source = ["data=folder", f"data.sources.folder.root={tmp_path / 'data'}"]
        codes = f"data.sources.folder.label_codes={CODES}"
        options = ["pictures=false", "faults=4", f"cache_dir={tmp_path / 'cache'}", "device=cpu"]
        evaluate(config("evaluate", f"ckpt={ckpt}", f"run_dir={tmp_path / name}", *source, codes, *options, *overrides))
        return tmp_path / name

    return call


def test_a_calibration_is_made_checked_and_used(run, tmp_path, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(fit, "TREES", 10)
    folder = run("confidence=calibrate")
    rows = read_rows(folder / "confidence.csv")
    assert len({row.case for row in rows}) == 8
    assert {row.dice for row in rows if row.fault == "sound"} == {1.0}
    assert len({row.fault for row in rows}) > 4
    path = tmp_path / "best.confidence.json"
    assert f"copy it beside the checkpoint, as {path}" in capsys.readouterr().out
    path.write_bytes((folder / "best.confidence.json").read_bytes())
    checked = run("confidence=check", name="check")
    figures = json.loads((checked / "confidence_card.json").read_text())
    assert figures["cases"] == 8
    assert "predicted against true Dice" in capsys.readouterr().out
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    given = [f"ckpt={tmp_path / 'best.ckpt'}", f"input={tmp_path / 'ct.nii.gz'}", f"output={tmp_path / 'masks'}"]
    predict(config("predict", *given, "pictures=false", "device=cpu"))
    (liver, _) = json.loads((tmp_path / "masks" / "ct_report.json").read_text())["organs"]
    confidence = liver["confidence"]
    assert 0 <= confidence["low"] <= confidence["dice"] <= confidence["high"] <= 1
    assert "predicted Dice from" in capsys.readouterr().out


def test_what_is_missing_is_said_before_the_work(run, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="confidence=check has no calibration to check"):
        run("confidence=check")
    monkeypatch.setattr(fit, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="confidence=calibrate needs the package scikit-learn"):
        run("confidence=calibrate")
    assert not (tmp_path / "run").exists()


def test_several_checkpoints_with_augmentation_have_a_calibration_of_their_own(run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(fit, "TREES", 2)
    second = tiny.write_checkpoint(tmp_path / "second.ckpt", voxel_hashes=["differs"])
    first = tmp_path / "best.ckpt"
    folder = run("confidence=calibrate", "tta=[scaled]", ckpt=f"[{first},{second}]")
    (written,) = folder.glob("ensemble_*_scaled.confidence.json")
    (tmp_path / written.name).write_bytes(written.read_bytes())
    both = load_ensemble.load([str(second), str(first)], tta=["scaled", "scaled"])  # in any order, and named twice
    assert both.calibrated.calibration is not None
    assert both.calibrated.words.endswith(f"masks, see {written.name}")
    for other in (load_ensemble.load([str(first), str(second)]), load_ensemble.load(str(first), tta=["scaled"])):
        assert other.calibrated.calibration is None
        assert other.calibrated.words.startswith("flags and reasons only: there is no ")
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    result = segment.load([first, second], device="cpu", engine="torch", tta=["scaled"])(tmp_path / "ct.nii.gz")
    assert all(0 <= one.low <= one.dice <= one.high <= 1 for one in result.confidence.values())


def test_a_calibration_lies_beside_its_checkpoint(tmp_path):
    one, two = tmp_path / "best.ckpt", tmp_path / "runs" / "best.ckpt"
    assert calibration_path([one], ["a"], tta=[]) == tmp_path / "best.confidence.json"
    assert calibration_path([one], ["a"], tta=["scaled"]) == tmp_path / "best_scaled.confidence.json"
    several = calibration_path([one, two], ["a", "b"], tta=[])
    assert several.parent == tmp_path
    assert several == tmp_path / f"ensemble_{identity(['b', 'a'], tta=[])[:8]}.confidence.json"


def write_calibration(path, checkpoint, masks):
    replace(calibration(checkpoint=checkpoint), made_from={"masks": masks}).write(path)


def test_the_calibration_of_an_ensemble_lies_beside_any_of_its_members(tmp_path):
    paths = [tmp_path / folder / "best.ckpt" for folder in "abc"]
    shas = ["1", "2", "3"]
    name = calibration_path(paths, shas, tta=[]).name
    for path in paths:
        path.parent.mkdir()
    assert "there is no ensemble_" in find_calibration(paths, shas, tta=[]).words
    write_calibration(paths[2].with_name(name), identity(shas, tta=[]), 9)
    write_calibration(paths[0].with_name(name), "of others", 7)
    assert find_calibration(paths, shas, tta=[]).path == paths[2].with_name(name)
    assert find_calibration(paths, shas, tta=[]).words == f"predicted Dice from 9 masks, see {name}"
    write_calibration(paths[1].with_name(name), identity(shas, tta=[]), 9)  # a copy
    assert find_calibration(paths, shas, tta=[]).words == f"predicted Dice from 9 masks, see {name}"
    write_calibration(paths[1].with_name(name), identity(shas, tta=[]), 8)
    both = rf"b/{name} and .*c/{name} are different calibrations of the same checkpoints; remove one of them"
    with pytest.raises(UserError, match=both):
        find_calibration(paths, shas, tta=[])


def test_what_made_the_masks_is_named_by_its_networks_and_the_augmentation():
    assert identity(["a"], tta=[]) == "a"
    names = [identity(sha256, tta) for sha256 in (["a"], ["a", "b"], ["a", "a"]) for tta in ([], ["scaled"], ["moved"])]
    assert len({*names}) == 9
    assert identity(["a", "b"], tta=[]) == identity(["b", "a"], tta=[])
