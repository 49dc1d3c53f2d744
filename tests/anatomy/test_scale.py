from dataclasses import replace

import pytest
from bodies import ANATOMY, body, place

from segment.anatomy.scale import at_adult_size, body_scale


def scale_of(places):
    return body_scale(list(places.values()), list(places), ANATOMY)


@pytest.mark.parametrize(("size", "scale"), [(0.1, 0.3), (0.3, 0.3), (0.5, 0.5), (1, 1), (1.3, 1.3), (2, 1.3)])
def test_the_scale_is_that_of_the_body_within_bounds(size, scale):
    assert scale_of(body("liver", "spleen", "pancreas", size=size)) == pytest.approx(scale)


def test_swapped_names_do_not_change_the_scale():
    places = body("liver", "spleen", "left_kidney", size=0.6)
    places["liver"], places["spleen"] = places["spleen"], places["liver"]
    assert scale_of(places) == pytest.approx(0.6)


def test_cut_and_unknown_organs_do_not_count():
    cut = {"liver": place("liver", volume_ml=100, faces="S")}
    assert scale_of(cut) == 1
    assert scale_of(cut | body("spleen", "rectum", size=0.5)) == pytest.approx(0.5)


def test_an_organ_of_half_the_size_is_scaled_to_that_of_an_adult():
    child = replace(place("liver"), volume_ml=187.5, right_mm=20, front_mm=-30, up_mm=40)
    (adult,) = at_adult_size([child], ["liver"], ANATOMY)  # the middle of 500 and 4500 mL is 1500 = 8 · 187.5 mL
    expected = (pytest.approx(1500), pytest.approx(40), pytest.approx(-60), pytest.approx(80))
    assert (adult.volume_ml, adult.right_mm, adult.front_mm, adult.up_mm) == expected
