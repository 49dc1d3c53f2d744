import numpy as np
import pytest
from nibabel.affines import apply_affine

from segment.anatomy.midline import midline_mm

SHAPE = (60, 40, 30)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = (-90, -80, 30)


def rotation(degrees, axis):
    """Rotation about one of the axes, in RAS+."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    one, two = [a for a in range(3) if a != axis]
    turn[[one, one, two, two], [one, two, one, two]] = c, -s, s, c
    return turn


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("step", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_the_midline_is_the_median_of_what_is_not_air(axis, step):
    hu = np.where(np.random.default_rng(0).random((14, 9, 11)) < 0.3, -1000, 40).astype(np.int16)
    affine = rotation(20, axis) @ AFFINE @ np.diag([*step, 1])
    expected = np.median(apply_affine(affine, np.argwhere(hu == 40))[:, 0])
    assert midline_mm(hu, affine) == pytest.approx(expected, abs=1e-9)


def test_the_midline_of_air_is_the_middle_of_the_volume():
    assert midline_mm(np.full(SHAPE, -1000, np.int16), AFFINE) == -90 + 4 * 29.5


def test_an_arm_beside_the_body_moves_the_midline_little():
    hu = np.full(SHAPE, -1000, np.int16)
    hu[5:35, 5:35] = 40  # 900 voxels of a slice: 30 columns, with their middle at i = 19.5
    hu[50:55, 10:22] = 40  # 60 more, 33 columns away
    # Half of the arm's voxels is one column of the body; the mean would move by 60 * 33 / 960, two columns.
    assert midline_mm(hu, AFFINE) == pytest.approx(-90 + 4 * 20.5)
