"""`segment evaluate confidence=...`."""

import json

import pytest
import tiny
from run_commands import config

from segment.checkpoint.calibrated import calibration_path
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
    second = tiny.write_checkpoint(tmp_path / "second.ckpt")
    with pytest.raises(UserError, match="takes one checkpoint, got 2: a calibration belongs to one network"):
        run("confidence=calibrate", ckpt=f"[{tmp_path / 'best.ckpt'},{second}]")
    monkeypatch.setattr(fit, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="confidence=calibrate needs the package scikit-learn"):
        run("confidence=calibrate")
    assert not (tmp_path / "run").exists()


def test_a_calibration_lies_beside_its_checkpoint(tmp_path):
    assert calibration_path(tmp_path / "best.ckpt") == tmp_path / "best.confidence.json"
