from itertools import combinations

import pytest
from bodies import ANATOMY, body, place

from segment.doctor.plausibility import check_structures

OWN = ("liver", "right_kidney", "left_kidney", "spleen")
ALL = tuple(ANATOMY.volume_ml)
SIZES = (0.3, 0.35, 0.45, 0.55, 0.7, 1, 1.3)  # relative to an adult: a newborn, children, a tall man


def check(structures):
    return [(f.severity, f.check, f.what) for f in check_structures("set/a", structures, ANATOMY)]


@pytest.mark.parametrize("organs", [OWN, OWN[:1], OWN[2:], ALL])
def test_organs_in_their_usual_positions_have_no_findings(organs):
    assert check(body(*organs)) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "organs", [OWN, OWN[:2], OWN[2:], ("aorta", "vena_cava"), ("left_kidney", "right_adrenal"), ALL], ids=len
)
def test_right_names_are_accepted_in_bodies_of_every_size(organs, size):
    """Volumes smaller than an adult's are separate findings."""
    assert {check for _, check, _ in check(body(*organs, size=size))} <= {"volume"}


@pytest.mark.parametrize("size", SIZES)
def test_exchanged_names_are_found_in_bodies_of_every_size(size):
    for one, other in combinations(OWN, 2):
        places = body(*ALL, size=size)
        places[one], places[other] = places[other], places[one]
        assert {check for _, check, _ in check(places)} & {"position", "swapped labels", "sides"}, (one, other)


@pytest.mark.parametrize("size", [1, 0.5])
@pytest.mark.parametrize(("one", "other"), list(combinations(OWN, 2)))
def test_exchanged_organs_are_found_by_position_or_side(one, other, size):
    places = body(*OWN, size=size)
    places[one], places[other] = places[other], places[one]
    assert {check for _, check, _ in check(places)} & {"position", "swapped labels", "sides"}


def test_exchanged_left_kidney_and_spleen_are_found_by_their_heights():
    """Both are on the left, so their sides do not distinguish them."""
    places = body(*OWN) | {"left_kidney": place("spleen", volume_ml=160), "spleen": place("left_kidney", volume_ml=160)}
    what = "left_kidney is where spleen should be, spleen is where left_kidney should be"
    assert check(places) == [("warning", "position", what)]


def test_an_organ_with_the_name_of_another_that_is_not_annotated_is_found():
    places = body("liver", "right_kidney") | {"left_kidney": place("spleen", volume_ml=160)}
    assert check(places) == [("warning", "position", "left_kidney is where spleen should be")]


@pytest.mark.parametrize(
    "changes",
    [
        {"spleen": place("spleen", (20, 15, -45), volume_ml=2000), "left_kidney": place("left_kidney", (5, 5, -15))},
        {"right_kidney": place("right_kidney", (-5, 30, -150))},  # in the pelvis, transplanted
        {"liver": place("liver", (0, 0, -20), volume_ml=4000)},
    ],
    ids=["splenomegaly", "transplant", "hepatomegaly"],
)
def test_disease_and_surgery_are_not_taken_for_wrong_names(changes):
    assert [check for _, check, _ in check(body(*OWN) | changes)] == []


def test_parts_of_organs_in_a_thin_slab_have_no_findings():
    """The height of an organ that is cut at both ends of a scan is the height of the slab, and is not checked."""
    slab = {name: place(name, (0, 0, -ANATOMY.centre_mm[name][2]), 60, "IS") for name in ("liver", "spleen")}
    assert check(slab) == []


def test_kidneys_cut_by_the_lower_end_are_distinguished_from_the_spleen():
    kidneys = {name: place(name, (0, 0, 15), 80, "I") for name in ("right_kidney", "left_kidney")}
    places = body("liver", "spleen") | kidneys
    assert check(places) == []
    places["left_kidney"], places["spleen"] = places["spleen"], places["left_kidney"]
    assert [check for _, check, _ in check(places)] == ["position"]


def test_volumes_and_hu_out_of_range_are_found():
    small = place("liver", volume_ml=200)
    assert check({"liver": small})[0] == ("warning", "volume", "liver has 200 mL, not 500 to 4500 mL")
    assert check({"liver": place("liver", volume_ml=5234)})[0][2] == "liver has 5230 mL, not 500 to 4500 mL"
    cut = place("liver", volume_ml=200, faces="S")
    assert check({"liver": cut}) == []
    dark = type(small)(**vars(place("liver")) | {"median_hu": -120.0})
    assert check({"liver": dark}) == [
        (
            "error",
            "HU",
            "liver has a median of -120 HU, not -40 to 250: its label is misplaced, or the image is not in HU",
        )
    ]


def test_one_organ_beyond_the_middle_is_only_a_warning():
    (finding,) = check(body("liver", "right_kidney", "spleen") | {"left_kidney": place("left_kidney", (120, 0, 0))})
    assert finding == ("warning", "sides", "left_kidney lies 54 mm on the wrong side of the body's middle")
