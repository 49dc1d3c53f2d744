import labelled_body
import numpy as np
import pytest
from labelled_body import CODES, SPACING_MM, ball

from segment.phantom.from_labels.body import build_body
from segment.phantom.from_labels.structures import tissue_of
from segment.phantom.tissues import CODES as TISSUE_CODES

STRUCTURES = tissue_of(list(CODES), {}, "x")


def indices(label):
    lookup = np.zeros(10, np.uint8)
    for number, name in enumerate(STRUCTURES, start=1):
        lookup[CODES[name]] = number
    return lookup[label]


@pytest.fixture
def trunk():
    hu, label = labelled_body.trunk()
    return hu, indices(label)


def build(structure, hu):
    return build_body(structure, STRUCTURES, hu, np.array(SPACING_MM), 0)


def share(body, tissue, mask):
    return float(np.mean(body.filling[mask & (body.structure == 0)] == TISSUE_CODES[tissue]))


def test_what_a_ct_shows_outside_of_the_labels_is_recognised(trunk):
    hu, structure = trunk
    body = build(structure, hu)
    assert share(body, "air", ~ball((0, 0, 0), (168, 126, 1e9))) == 1
    wall = ball((0, 0, 0), (138, 98, 1e9)) & ~ball((0, 5, 0), (134, 94, 1e9))
    assert share(body, "muscle", wall & (np.indices(wall.shape)[1] > 30)) > 0.7
    assert share(body, "fat", ball((0, 0, 0), (156, 114, 1e9)) & ~ball((0, 0, 0), (146, 106, 1e9))) > 0.5
    bone = np.array([kind == "bone" for kind in body.made_of])[body.structure]
    assert bone[ball((0, -80, 0), (16, 12, 1e9))].mean() > 0.9
    assert not bone[~ball((0, -80, 0), (30, 26, 1e9))].any()


def test_the_labels_stay_what_they_are(trunk):
    hu, structure = trunk
    for given in (hu, None):
        body = build(structure, given)
        np.testing.assert_array_equal(np.where(body.structure > body.annotated, 0, body.structure), structure)


def test_a_table_is_no_part_of_the_body(trunk):
    hu, structure = trunk
    hu = hu.copy()
    hu[4:60, 1:3] = 100
    assert not build(structure, hu).filling[:, :3].any()


def test_without_a_ct_a_body_surrounds_the_labels(trunk):
    _, structure = trunk
    body = build(structure, None)
    inside = (body.filling > 0) | (body.structure > 0)
    assert inside[structure > 0].all()
    corners = inside[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert not corners.any()
    kinds = {body.made_of[index] for index in np.unique(body.structure)}
    assert {"vertebra", "bone", "small_bowel"} <= kinds
    shell = inside & (np.roll(~inside, 1, 0) | np.roll(~inside, -1, 0))
    assert np.isin(body.filling[shell], [TISSUE_CODES["skin"], TISSUE_CODES["fat"]]).mean() > 0.95


def test_fine_maps_are_thinned_out():
    structure = np.ones((40, 40, 10), np.uint8)
    body = build_body(structure, STRUCTURES, None, np.array([0.7, 0.7, 5.0]), 0)
    assert body.structure.shape == (20, 20, 10)
    np.testing.assert_allclose(body.spacing_mm, [1.4, 1.4, 5])
