import json

import numpy as np
import pytest

from segment.checkpoint.calibrated import calibration_path, find_calibration
from segment.errors import UserError
from segment.inference.confidence.calibration import LONGEST, Calibration, read_calibration
from segment.inference.confidence.table import FEATURES
from segment.inference.confidence.trees import Trees

TREE = {"feature": [0, -1, -1], "threshold": [0.5, 0, 0], "left": [1, 0, 0], "right": [2, 0, 0], "value": [0, -2, 2]}
CURVE = np.array([[-2.0, 0.2, 0.0, 0.6], [2.0, 0.96, 0.9, 0.98]])


@pytest.fixture
def calibration():
    trees, alone = Trees(0.0, [TREE]), {"moved": (Trees(0.0, []), CURVE)}
    return Calibration("abc", FEATURES, -99.0, trees, CURVE, alone, 0.7, {"noise_hu": (5.0, 40.0)}, {"masks": 12})


def features(**changed):
    return dict.fromkeys(FEATURES, 1.0) | changed


def test_predictions_are_read_from_the_curve(calibration):
    assert calibration.predict(features()) == pytest.approx((0.96, 0.9, 0.98))
    assert calibration.predict(features(**{FEATURES[0]: 0.1})) == pytest.approx((0.2, 0.0, 0.6))
    assert calibration.predict(features(**{FEATURES[0]: float("nan")})) == pytest.approx((0.2, 0.0, 0.6))


def test_a_file_gives_the_same_calibration(calibration, tmp_path):
    path = tmp_path / "best.confidence.json"
    calibration.write(path)
    again = read_calibration(path, FEATURES)
    assert again.predict(features()) == calibration.predict(features())
    assert (again.checkpoint, again.red_below, again.usual) == ("abc", 0.7, {"noise_hu": (5.0, 40.0)})
    assert again.alone["moved"][1].tolist() == CURVE.tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "format 'other'"),
        ({"version": 2}, "version 2"),
        ({"features": [*FEATURES, "shoe_size"]}, "needs the feature shoe_size"),
        ({"features": []}, "list of 1 to 500 names"),
        ({"red_below": float("inf")}, "not finite"),
        ({"curve": [[0, 0.5, 0.6, 0.7]]}, "0 <= low <= Dice"),
        ({"curve": [[1, 0.5, 0.4, 0.7], [0, 0.5, 0.4, 0.7]]}, "rising order"),
        ({"curve": [[0, 0.5]]}, "four numbers"),
        ({"score": {"start": 0, "trees": [TREE | {"left": [0, 0, 0]}]}}, "not a later node"),
        ({"score": None}, "NoneType"),
        ({"checkpoint": ...}, "lacks 'checkpoint'"),
    ],
)
def test_files_of_strangers_are_refused(calibration, tmp_path, change, words):
    path = tmp_path / "x.confidence.json"
    calibration.write(path)
    content = json.loads(path.read_text()) | change
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
    with pytest.raises(UserError, match="is no calibration of this version of segment") as error:
        read_calibration(path, FEATURES)
    assert words in str(error.value)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match="is no calibration of this version of segment"):
        read_calibration(tmp_path / "x.json", FEATURES)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(LONGEST + 1)
    monkeypatch.setattr(type(path), "read_text", None)
    with pytest.raises(UserError, match="it has more than 20000000 bytes"):
        read_calibration(path, FEATURES)


def test_a_calibration_belongs_to_one_checkpoint(calibration, tmp_path):
    ckpt = tmp_path / "best.ckpt"
    assert "there is no best.confidence.json" in find_calibration([ckpt], ["abc"], tta=[]).words
    calibration.write(calibration_path([ckpt], ["abc"], tta=[]))
    found = find_calibration([ckpt], ["abc"], tta=[])
    assert found.calibration is not None
    assert found.words == "predicted Dice from 12 masks, see best.confidence.json"
    other = find_calibration([ckpt], ["abd"], tta=[])
    assert other.calibration is None
    assert "belongs to another checkpoint" in other.words
    for paths, sha256, tta in (([ckpt, ckpt], ["abc", "abc"], []), ([ckpt], ["abc"], ["scaled"])):
        another = find_calibration(paths, sha256, tta)
        assert another.calibration is None
        assert another.words.startswith("flags and reasons only: there is no ")


def test_the_starter_weights_have_a_calibration():
    from segment.checkpoint.load_ensemble import load

    trained = load("starter")
    assert trained.calibrated.calibration is not None, "make confidence"
