from itertools import combinations

import pytest
from bodies import ANATOMY, body, place

from segment.doctor.judge import check_places

OWN = ("liver", "right_kidney", "left_kidney", "spleen")
ALL = tuple(ANATOMY.volume_ml)
SIZES = (0.3, 0.35, 0.45, 0.55, 0.7, 1, 1.3)  # of an adult: a newborn, children, a tall man


def judged(places):
    return [(f.severity, f.check, f.what) for f in check_places("set/a", places, ANATOMY)]


@pytest.mark.parametrize("organs", [OWN, OWN[:1], OWN[2:], ALL])
def test_organs_in_their_places_are_fine(organs):
    assert judged(body(*organs)) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "organs", [OWN, OWN[:2], OWN[2:], ("aorta", "vena_cava"), ("left_kidney", "right_adrenal"), ALL], ids=len
)
def test_right_names_are_right_in_bodies_of_every_size(organs, size):
    """Volumes below the adults' are findings of their own."""
    assert {check for _, check, _ in judged(body(*organs, size=size))} <= {"volume"}


@pytest.mark.parametrize("size", SIZES)
def test_exchanged_names_are_found_in_bodies_of_every_size(size):
    for one, other in combinations(OWN, 2):
        places = body(*ALL, size=size)
        places[one], places[other] = places[other], places[one]
        assert {check for _, check, _ in judged(places)} & {"place", "swapped labels", "sides"}, (one, other)


@pytest.mark.parametrize("size", [1, 0.5])
@pytest.mark.parametrize(("one", "other"), list(combinations(OWN, 2)))
def test_exchanged_organs_are_found_by_place_or_side(one, other, size):
    places = body(*OWN, size=size)
    places[one], places[other] = places[other], places[one]
    assert {check for _, check, _ in judged(places)} & {"place", "swapped labels", "sides"}


def test_the_left_kidney_and_the_spleen_are_told_apart_by_height_and_side():
    """The issue's case: both lie on the left."""
    places = body(*OWN) | {"left_kidney": place("spleen", volume_ml=160), "spleen": place("left_kidney", volume_ml=160)}
    what = "left_kidney lies where spleen should, spleen lies where left_kidney should"
    assert judged(places) == [("warning", "place", what)]


def test_a_name_that_belongs_to_an_organ_without_a_code_is_found():
    places = body("liver", "right_kidney") | {"left_kidney": place("spleen", volume_ml=160)}
    assert judged(places) == [("warning", "place", "left_kidney lies where spleen should")]


@pytest.mark.parametrize(
    "changes",
    [
        {"spleen": place("spleen", (20, 15, -45), volume_ml=2000), "left_kidney": place("left_kidney", (5, 5, -15))},
        {"right_kidney": place("right_kidney", (-5, 30, -150))},  # in the pelvis, transplanted
        {"liver": place("liver", (0, 0, -20), volume_ml=4000)},
    ],
    ids=["splenomegaly", "transplant", "hepatomegaly"],
)
def test_disease_and_surgery_are_no_wrong_names(changes):
    assert [check for _, check, _ in judged(body(*OWN) | changes)] == []


def test_what_a_thin_slab_leaves_of_organs_is_fine():
    """Heights of organs that reach beyond both ends of a scan are the slab's."""
    slab = {name: place(name, (0, 0, -ANATOMY.centre_mm[name][2]), 60, "IS") for name in ("liver", "spleen")}
    assert judged(slab) == []


def test_kidneys_cut_by_the_lower_end_still_tell_them_from_the_spleen():
    kidneys = {name: place(name, (0, 0, 15), 80, "I") for name in ("right_kidney", "left_kidney")}
    places = body("liver", "spleen") | kidneys
    assert judged(places) == []
    places["left_kidney"], places["spleen"] = places["spleen"], places["left_kidney"]
    assert [check for _, check, _ in judged(places)] == ["place"]


def test_volumes_and_hu_out_of_range_are_found():
    small = place("liver", volume_ml=200)
    assert judged({"liver": small})[0] == ("warning", "volume", "liver has 200 mL, not 500 to 4500 mL")
    cut = place("liver", volume_ml=200, faces="S")
    assert judged({"liver": cut}) == []
    dark = type(small)(**vars(place("liver")) | {"median_hu": -120.0})
    assert judged({"liver": dark}) == [
        ("error", "HU", "liver has a median of -120 HU, not -40 to 250: its label lies elsewhere, or no HU")
    ]


def test_one_organ_across_the_middle_may_be_right():
    (finding,) = judged(body("liver", "right_kidney", "spleen") | {"left_kidney": place("left_kidney", (120, 0, 0))})
    assert finding == ("warning", "sides", "left_kidney lies 54 mm on the wrong side of the body's middle")
