"""Learning from organs whose Dice follows from a feature, up to noise."""

import numpy as np
import pytest

from segment.errors import UserError
from segment.inference.confidence import fit
from segment.inference.confidence.learn import learn
from segment.inference.confidence.report_card import card, judge_rows, print_card
from segment.inference.confidence.table import FEATURES, Row, append_rows, read_rows
from segment.inference.outputs.default_anatomy import default_anatomy

USUAL = dict.fromkeys(FEATURES, 0.0) | {"side_mm": 60.0, "expected_dice": 0.95, "kept": 1.0, "mirror_size": 0.3}


def rows(cases, seed):
    """The Dice depends on `moved` and `up`; half of the organs are bad. `volume` says nothing."""
    rng = np.random.default_rng(seed)
    made = []
    for case in range(cases):
        for fault in ("sound", "noise", "mirrored"):
            for organ in ("liver", "spleen"):
                moved, far = (
                    (rng.uniform(0.9, 1), 0.0) if fault == "sound" else (rng.uniform(0.3, 1), rng.choice([0, 3]))
                )
                dice = float(np.clip((moved - far / 4) * 0.98 + rng.normal(0, 0.01), 0, 1))
                own = {"moved": moved, "up": far, "volume": rng.normal(), "noise_hu": rng.uniform(8, 12)}
                made.append(Row(f"{seed}/{case}", fault, organ, dice, 100, None, [], USUAL | own))
    return made


def test_a_calibration_predicts_the_dice_of_other_cases(monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(fit, "TREES", 80)
    calibration = learn(rows(40, 0), "abc")
    assert calibration.usual["noise_hu"][0] < 8.5
    judged = judge_rows(
        [*rows(20, 1), Row("1/0", "noise", "left_kidney", 0.0, 9, True, ["absent: x"], None)],
        calibration,
        default_anatomy(),
    )
    figures = card(judged)
    assert (figures["cases"], figures["organs"]) == (20, 121)
    assert figures["mae"] < 0.06
    assert figures["spearman"] > 0.9
    assert 0.8 <= figures["coverage"] <= 1
    assert figures["width_good"] < 0.3
    assert figures["red_of_bad"] > 0.8
    assert figures["mae"] < figures["alone"]["moved"]["mae"] < figures["alone"]["volume"]["mae"]
    assert judged.confidences[-1].color == "red"  # missed, though in view
    print_card(judged)
    assert "mirrored" in capsys.readouterr().out


def test_too_few_cases_are_refused():
    with pytest.raises(
        UserError, match="a calibration needs at least 8 cases and 60 organs in their masks, got 7 and 42"
    ):
        learn(rows(7, 0), "abc")


def test_the_curve_covers_and_rises():
    rng = np.random.default_rng(0)
    score = rng.normal(0, 2, 800)
    dice = np.clip(1 / (1 + np.exp(-score)) + rng.normal(0, 0.05, 800), 0, 1)
    curve = fit.fit_curve(score[:400], dice[:400])
    assert (np.diff(curve, axis=0) >= 0).all()
    low, high = (np.interp(score[400:], curve[:, 0], curve[:, column]) for column in (2, 3))
    assert 0.85 <= np.mean((low <= dice[400:]) & (dice[400:] <= high)) <= 0.99


def test_a_table_keeps_the_rows(tmp_path):
    table = tmp_path / "confidence.csv"
    first = rows(2, 0)
    append_rows(table, first)
    append_rows(table, [Row("0/1", "noise", "spleen", 0.0, 5, False, ["absent: x", "cut: y"], None)])
    again = read_rows(table)
    assert len(again) == len(first)  # the last row replaces an earlier one
    assert again[0].features["moved"] == pytest.approx(first[0].features["moved"], rel=1e-5)
    changed = next(row for row in again if row.features is None)
    assert (changed.in_view, changed.flags, changed.dice) == (False, ["absent: x", "cut: y"], 0.0)
