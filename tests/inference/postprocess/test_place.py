"""What is removed because of its place, and above all what is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from organ_masks import ORGANS, USUAL, affine, clean, default_clean_up, draw, usual
from run_commands import config
from scipy.spatial.transform import Rotation

from segment.errors import UserError
from segment.inference.postprocess.place import RemoveMisplaced

PLACE = default_clean_up("misplaced")
ALL = default_clean_up()

FALSE = {
    "a bladder as a second liver": ("liver", ((0, 60, -230), (38, 38, 40))),
    "a full bladder as a second liver": ("liver", ((0, 60, -230), (60, 55, 60))),
    "a humeral head as a kidney": ("right_kidney", ((160, 0, 260), (26, 26, 30))),
    "a muscle of the shoulder as a kidney": ("left_kidney", ((-150, 0, 240), (40, 24, 40))),
    "the neck as a spleen": ("spleen", ((0, 20, 330), (30, 30, 30))),
    "a bladder as a kidney": ("left_kidney", ((0, 60, -240), (30, 30, 30))),
    "a breast as a liver": ("liver", ((90, 140, 260), (50, 30, 50))),
}


@pytest.mark.parametrize("name", FALSE)
def test_an_impossible_piece_is_removed(name):
    expected = draw(usual())
    assert np.array_equal(PLACE(draw([FALSE[name], *usual()]), affine()), expected)


@pytest.mark.parametrize("name", FALSE)
def test_it_is_removed_in_place_of_its_organ_too(name):
    """The organ itself was removed by surgery, or is outside of the scan."""
    organ, _ = FALSE[name]
    rest = usual(**{organ: None})
    assert np.array_equal(PLACE(draw([FALSE[name], *rest]), affine()), draw(rest))


def test_kidneys_in_the_shoulders_and_a_bladder_at_once():
    false = [FALSE["a humeral head as a kidney"], FALSE["a muscle of the shoulder as a kidney"]]
    parts = [FALSE["a bladder as a second liver"], *false, *usual()]
    assert np.array_equal(ALL(draw(parts), affine()), draw(usual()))


SIDES = (("right", 38), ("left", -38))
UNUSUAL = {
    "usual": usual(),
    "pelvic kidney": usual(left_kidney=((-15, 40, -150), (26, 24, 50))),
    "transplanted kidney beside the own ones": [*usual(), ("right_kidney", ((85, 60, -180), (26, 24, 50)))],
    "transplanted kidney on the other side": usual(left_kidney=((85, 60, -190), (26, 24, 50))),
    "both kidneys on one side": usual(left_kidney=((50, 10, -90), (26, 24, 45))),
    "horseshoe kidney": [*usual(), *((f"{side}_kidney", ((x, 5, -40), (38, 18, 18))) for side, x in SIDES)],
    "organs on the other side": usual(liver=((-53, 48, 62), (80, 65, 68)), spleen=((90, 0, 65), (28, 40, 42))),
    "wandering spleen": usual(spleen=((-40, 40, -160), (28, 40, 42))),
    "huge spleen": usual(spleen=((-85, 90, 0), (50, 50, 130))),
    "liver that reaches the iliac crest": [*usual(), ("liver", ((90, 50, -60), (35, 50, 120)))],
    "high diaphragm": usual(liver=((53, 48, 140), (80, 65, 68)), spleen=((-90, 0, 150), (28, 40, 42))),
    "one kidney": usual(left_kidney=None),
    "no spleen": usual(spleen=None),
    "liver alone": usual(right_kidney=None, left_kidney=None, spleen=None),
    "kidney alone in the pelvis": [("left_kidney", ((-15, 40, -150), (26, 24, 50)))],
    "liver and pelvic kidney": usual(right_kidney=None, spleen=None, left_kidney=((-15, 40, -150), (26, 24, 50))),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("scale", [1.1, 1.0, 0.5])
def test_unusual_anatomy_stays(name, scale):
    mask = draw(UNUSUAL[name], scale)
    assert np.array_equal(ALL(mask.copy(), affine()), mask)


@settings(deadline=None, max_examples=30)
@given(name=st.sampled_from(sorted(UNUSUAL)), first=st.integers(0, 90), count=st.integers(1, 60))
def test_a_scan_may_begin_and_end_anywhere(name, first, count):
    mask = draw(UNUSUAL[name])[:, :, first : first + count]
    assert np.array_equal(PLACE(mask.copy(), affine()), mask)


def test_thick_coronal_slices_may_lean():
    """From slice to slice they rise by more than from row to row. The scan cuts the liver above and below."""
    lean = np.eye(4)
    lean[:3, :3] = Rotation.from_euler("x", -15, degrees=True).as_matrix()
    mask = np.ascontiguousarray(draw(UNUSUAL["liver that reaches the iliac crest"])[:, ::4, 27:47])
    assert np.array_equal(PLACE(mask.copy(), lean @ affine() @ np.diag([1, 4, 1, 1])), mask)


def test_a_liver_that_the_scan_cuts_in_two_stays():
    """A scan that begins below the left lobe's root shows two pieces of liver at its upper border."""
    lobes = [("liver", ((70, 48, 40), (60, 60, 80))), ("liver", ((-35, 80, 60), (26, 22, 42)))]
    mask = draw([*usual(liver=None), *lobes])[:, :, :57]
    sizes = [(mask[cut] == 1).sum() for cut in (slice(0, 24), slice(24, None))]
    assert 0 < sizes[0] < 0.15 * sizes[1]  # far below the share that a piece usually needs
    assert np.array_equal(ALL(mask.copy(), affine()), mask)


def test_a_part_of_the_spleen_that_is_called_liver_does_not():
    """As on a real CT, where a scan of a few centimetres cuts both."""
    false = ("liver", ((-90, 30, 65), (26, 26, 40)))
    mask = draw([*usual(), false])[:, :, 54:62]
    cleaned = ALL(mask.copy(), affine())
    assert not (cleaned[:18] == 1).any()
    assert np.array_equal(cleaned == 4, mask == 4)


def test_the_usual_places_are_those_of_the_anatomy():
    step = config("train", "run_dir=.").postprocess.misplaced
    anatomy = config("train", "run_dir=.").anatomy
    assert step.spread_mm == anatomy.spread_mm
    for organ in ORGANS:
        low, high = anatomy.volume_ml[organ]
        assert step.centre_mm[organ] == anatomy.centre_mm[organ]
        assert step.usual_ml[organ] == pytest.approx((low * high) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    ("reach", "message"),
    [
        ({"liver": (100,)}, "reach_mm.liver must be two positive numbers"),
        ({"liver": (100, -1)}, "reach_mm.liver must be two positive numbers"),
        ({"colon": (100, 100)}, "colon has a reach_mm but no centre_mm; add centre_mm.colon"),
        ({"spleen": (100, 100)}, "spleen has a reach_mm but no usual_ml"),
    ],
)
def test_incomplete_options_are_refused(reach, message):
    centres = {"liver": (0, 0, 0), "spleen": (0, 0, 0)}
    with pytest.raises(UserError, match=message):
        RemoveMisplaced(centres, (20, 20, 20), {"liver": 1000}, reach, aside_mm=100, fixed=[])


def test_other_organs_are_not_judged():
    mask = draw([*usual(), FALSE["the neck as a spleen"]])
    step = RemoveMisplaced({}, (20, 20, 20), {}, {}, aside_mm=100, fixed=[])
    PLACE_NONE = type(PLACE)(ORGANS, {"misplaced": step}, {})  # noqa: N806
    assert np.array_equal(PLACE_NONE(mask.copy(), affine()), mask)
    assert set(USUAL) == set(ORGANS)
    assert not np.array_equal(clean(mask), mask)
