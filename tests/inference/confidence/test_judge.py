import pytest
from simple_calibration import calibration

from segment.inference.confidence.features import Findings
from segment.inference.confidence.judge import Judge, judge, without_network
from segment.inference.confidence.table import FEATURES
from segment.inference.outputs.default_anatomy import default_anatomy

ANATOMY = default_anatomy()
SOUND = dict.fromkeys(FEATURES, 0.0) | {
    **{"side_mm": 60.0, "moved": 0.97, "expected_dice": 0.97, "kept": 1.0, "organs": 4.0},
    **{"fat_hu": -100.0, "noise_hu": 12.0, "mirror_size": 0.3, "mirror_volume": -2.0, "mirror_sure": -0.05},
}


def judged(changes=(), flags=(), of=None):
    features = SOUND | dict(changes)
    return judge(Findings({"liver": features}, {}), {"liver": list(flags)}, ANATOMY, of)["liver"]


def test_a_sound_organ_is_green_with_its_dice():
    one = judged(of=calibration())
    assert (one.color, one.dice, one.low, one.high, one.reasons) == ("green", 0.95, 0.9, 0.98, ())
    assert str(one) == "green, Dice 0.95 (0.90 to 0.98)"


def test_without_a_calibration_nothing_is_green_and_no_dice_is_predicted():
    one = judged()
    assert (one.color, one.dice, one.low, one.high, one.reasons) == (None, None, None, None, ())
    assert judged({"moved": 0.5}).color == "amber"
    assert judged({"side_mm": -40}).color == "red"


@pytest.mark.parametrize(
    ("changes", "color", "kind"),
    [
        ({"side_mm": -35.0}, "red", "side: its centre is 35 mm to the left of the midline, usual is the right"),
        ({"mirror_size": 2.0, "mirror_volume": 2.0, "mirror_sure": 0.04}, "red", "side: the organs fit the mirrored"),
        ({"up": 5.0}, "amber", "place: 150 mm to the head of where the other organs suggest it"),
        ({"front": -4.0}, "amber", "place: 100 mm to the back"),
        ({"moved": 0.61}, "amber", "agreement: Dice 0.61 with a second look"),
        ({"expected_dice": 0.7}, "amber", "doubt: by its own probabilities"),
        ({"kept": 0.6}, "amber", "cleaned: the post-processing removed 40% of it"),
        ({"noise_hu": 90.0}, "amber", "input: noise of 90 HU, usual are 5 to 40"),
    ],
)
def test_reasons_decide_the_colour(changes, color, kind):
    one = judged(changes, of=calibration())
    assert one.color == color
    assert len(one.reasons) == 1
    assert one.reasons[0].startswith(kind)


def test_an_organ_that_the_scan_cuts_has_no_reason_for_its_height_and_stays_green():
    one = judged({"up": 5.0, "cut": 1.0}, ["cut: by the upper end of the scan"], of=calibration())
    assert (one.color, one.reasons) == ("green", ("cut: by the upper end of the scan",))
    flags = ["pieces: 2, the second of 8 mL"]
    assert judged({"largest_piece": 0.9}, flags, of=calibration()).color == "amber"
    assert judged({"largest_piece": 0.99}, flags, of=calibration()).color == "green"


def test_the_predicted_dice_decides_too():
    assert judged(of=calibration(low=0.6)).color == "amber"
    low = judged(of=calibration(0.5, 0.2, 0.8))
    assert low.color == "red"
    assert low.reasons[-1] == "dice: predicted is 0.50, below 0.70"


def test_nan_is_no_reason():
    nothing = {name: float("nan") for name in SOUND}
    assert judged(nothing, of=calibration()).color == "green"


def test_absent_organs():
    flags = {"spleen": ["absent: the mask does not have it"]}
    colors = {}
    for in_view in (True, False, None):
        one = judge(Findings({"liver": SOUND}, {"spleen": in_view}), flags, ANATOMY, calibration())["spleen"]
        assert one.dice is None
        colors[in_view] = one.color
    assert colors == {True: "red", False: None, None: "amber"}


def test_a_mask_without_any_organ_is_red():
    """It is the worst failure, or a CT that should be left out. Of an organ of the user, no place is known."""
    flags = {organ: ["absent: the mask does not have it"] for organ in ("liver", "spleen", "lesion")}
    found = judge(Findings({}, dict.fromkeys(flags)), flags, ANATOMY, None)
    assert {organ: one.color for organ, one in found.items()} == {"liver": "red", "spleen": "red", "lesion": "amber"}
    assert found["spleen"].reasons == (*flags["spleen"], "empty: the mask has no organ at all")


def test_the_side_of_an_organ_that_touches_the_side_of_the_scan_is_not_known():
    wrong = {"side_mm": -20.0}
    assert judged(wrong, of=calibration()).color == "red"
    assert judged(wrong | {"cut_aside": 1.0}, of=calibration()).color == "green"
    mirrored = {"mirror_size": 1.5, "mirror_volume": 1.0, "mirror_sure": 0.1, "cut_aside": 1.0}
    assert judged(wrong | mirrored, of=calibration()).color == "red"


def test_entries_of_a_report_get_plain_values():
    entries = [{"organ": "liver", "flags": []}]
    Judge(Findings({"liver": SOUND}, {}), calibration()).add_to(entries, ANATOMY)
    assert entries[0]["confidence"] == {"color": "green", "dice": 0.95, "low": 0.9, "high": 0.98, "reasons": []}
    assert without_network(["pieces: 2, the second of 8 mL"]).color == "amber"
    assert without_network([]).color is None
