import numpy as np
import pytest

from segment.anatomy.anatomy import Anatomy
from segment.io.scan import Scan, geometry_header
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import measure_organs

AFFINE = np.array([[0, -2.0, 0, 5], [3.0, 0, 0, 6], [0, 0, 5.0, 7], [0, 0, 0, 1]])  # I to the front, J to the left
ANATOMY = Anatomy(
    volume_ml={"liver": [1, 4]},
    median_hu={},
    right=[],
    left=[],
    running_through=["aorta"],
    centre_mm={},
    spread_mm=[1, 1, 1],
)


def scan(hu, affine=AFFINE):
    return Scan(hu, affine, geometry_header(hu.shape, affine), hu.shape)


def test_volume_and_hu_are_those_of_the_voxels():
    hu = np.random.default_rng(0).integers(-100, 200, (10, 8, 5)).astype(np.int16)
    mask = np.zeros(hu.shape, np.uint8)
    mask[2:7, 1:5, 1:4] = 3
    liver, spleen = measure_organs(scan(hu), mask, {"liver": 3, "spleen": 4})
    assert (liver.organ, liver.number, liver.volume_ml) == ("liver", 3, pytest.approx(60 * 0.03))
    inside = hu[2:7, 1:5, 1:4].astype(float)
    assert (liver.hu_mean, liver.hu_sd) == pytest.approx((inside.mean(), inside.std()), abs=0.05)
    assert (liver.cut_by, liver.pieces_ml) == ((), (liver.volume_ml,))
    assert (spleen.volume_ml, spleen.hu_mean, spleen.hu_sd, spleen.surface_cm2) == (0, None, None, 0)
    assert (spleen.cut_by, spleen.pieces_ml) == ((), ())
    assert organ_flags(spleen, ANATOMY) == ["absent: the mask does not have it"]


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5), (5.0, 0.7, 0.7)])
def test_the_surface_of_a_ball_is_measured_within_one_per_cent(spacing_mm):
    """Marching cubes would give 9 % too much, or more."""
    radius_mm = 30.0
    size = [int(2 * radius_mm / mm) + 6 for mm in spacing_mm]
    at_mm = np.meshgrid(
        *[(np.arange(n) - n / 2 + 0.3) * mm for n, mm in zip(size, spacing_mm, strict=True)], indexing="ij"
    )
    mask = (np.sum(np.square(at_mm), axis=0) < radius_mm**2).astype(np.uint8)
    ball = scan(np.zeros(mask.shape, np.int16), np.diag([*spacing_mm, 1]))
    (measured,) = measure_organs(ball, mask, {"ball": 1})
    assert measured.surface_cm2 == pytest.approx(4 * np.pi * radius_mm**2 / 100, rel=0.01)


def test_an_organ_at_the_end_of_the_scan_is_cut_there():
    mask = np.zeros((10, 8, 5), np.uint8)
    mask[3:10, 2:6, 2:5] = 1  # I runs to the front, K upwards
    mask[3:5, 0:3, 0:2] = 2  # J runs to the left
    one, two = measure_organs(scan(np.zeros(mask.shape, np.int16)), mask, {"liver": 1, "aorta": 2})
    assert (set(one.cut_by), set(two.cut_by)) == ({"front", "upper"}, {"right", "lower"})
    (flag,) = organ_flags(one, ANATOMY)
    assert flag == f"cut: by the {' and '.join(one.cut_by)} end of the scan"
    assert organ_flags(two, ANATOMY) == []  # every scan cuts it, and it has no range


def test_implausible_volumes_and_pieces_are_flagged():
    mask = np.zeros((20, 18, 14), np.uint8)
    mask[2:6, 2:6, 2:4] = 1  # 0.96 mL
    (small,) = measure_organs(scan(np.zeros(mask.shape, np.int16)), mask, {"liver": 1})
    assert organ_flags(small, ANATOMY) == ["volume: 0.96 mL, plausible are 1 to 4 mL"]
    mask[8:18, 2:16, 6:12] = 1  # 25.2 mL
    mask[2, 17, 13] = 1  # a speck, at the upper end
    (large,) = measure_organs(scan(np.zeros(mask.shape, np.int16)), mask, {"liver": 1})
    assert large.pieces_ml == pytest.approx((25.2, 0.96))
    assert organ_flags(large, ANATOMY) == [
        "cut: by the left and upper end of the scan",
        "volume: 26.2 mL, plausible are 1 to 4 mL",
        "pieces: 2, the second of 0.96 mL",
    ]


def test_a_cut_organ_may_be_small():
    mask = np.zeros((20, 18, 14), np.uint8)
    mask[2:6, 2:6, 12:] = 1
    (measured,) = measure_organs(scan(np.zeros(mask.shape, np.int16)), mask, {"liver": 1})
    assert organ_flags(measured, ANATOMY) == ["cut: by the upper end of the scan"]


def test_an_organ_of_one_voxel_is_not_absent():
    """Its volume of 0.0003 mL is rounded to 0."""
    mask = np.zeros((5, 5, 5), np.uint8)
    mask[2, 2, 2] = 1
    (speck,) = measure_organs(scan(np.zeros(mask.shape, np.int16), np.diag([0.7, 0.7, 0.6, 1])), mask, {"liver": 1})
    assert (speck.volume_ml, speck.hu_mean) == (0, 0)
    assert organ_flags(speck, ANATOMY) == ["volume: 0 mL, plausible are 1 to 4 mL"]
