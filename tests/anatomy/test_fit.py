from dataclasses import replace

import numpy as np
import pytest
from bodies import ANATOMY, body

from segment.anatomy.fit import misfit_matrix


def own_misfits(places):
    names = list(places)
    return np.diag(misfit_matrix(list(places.values()), names, ANATOMY, names))


@pytest.mark.parametrize(
    ("axis", "mm", "cut", "other"),
    [("right_mm", 60, "L", "R"), ("front_mm", -60, "A", "P"), ("up_mm", 60, "I", "S")],
)
def test_a_centre_away_from_a_face_that_cuts_the_organ_is_no_misfit(axis, mm, cut, other):
    """The rest of the organ lies beyond this face, so its true centre is closer to the expected one."""
    places = body("liver", "spleen", "left_kidney")
    moved = replace(places["liver"], **{axis: getattr(places["liver"], axis) + mm})
    misfits = {faces: own_misfits(places | {"liver": replace(moved, faces=faces)})[0] for faces in (cut, other)}
    assert misfits[cut] == pytest.approx(0)
    assert misfits[other] > 3.9


def test_organs_that_the_scan_cuts_do_not_shift_the_others():
    places = body("liver", "spleen", "left_kidney")
    cut = replace(places["liver"], off_middle=True, right_mm=places["liver"].right_mm + 300, faces="R")
    others = {name: replace(place, off_middle=True) for name, place in places.items() if name != "liver"}
    assert own_misfits({"liver": cut} | others)[1:] == pytest.approx([0, 0])
