import base64
import math
import zlib

import numpy as np
import pytest

from segment.view.page.volume import LEVELS, level_hu, pack, page_affine, page_shape, reduce_ct, reduce_mask


def test_levels_rise_and_are_narrow_around_soft_tissue():
    widths = np.diff(LEVELS)
    assert len(LEVELS) == 256
    assert (widths[(LEVELS[:-1] >= -120) & (LEVELS[:-1] < 220)] == 2).all()
    assert widths.max() == 24
    assert LEVELS[0] < -1000
    assert LEVELS[-1] > 1300


@pytest.mark.parametrize("hu", [-1000, -121, -120, 0, 57, 219, 220, 1300])
def test_a_level_stands_for_the_hu_that_it_holds(hu):
    level = int(reduce_ct(np.full((1, 1, 1), hu, np.int16), (1, 1, 1))[0, 0, 0])
    assert abs(level_hu()[level] - hu) <= (1 if -120 <= hu < 220 else 12)


@pytest.mark.parametrize("hu", [-32768, 32767, 1e9])
def test_values_out_of_range_have_the_last_levels(hu):
    level = int(reduce_ct(np.full((1, 1, 1), hu, np.float32), (1, 1, 1))[0, 0, 0])
    assert level == (0 if hu < 0 else 255)


def test_the_finest_axes_are_reduced_first():
    assert page_shape((512, 512, 133), (0.7, 0.7, 2.5), 1e9) == (512, 512, 133)
    small = page_shape((512, 512, 133), (0.7, 0.7, 2.5), 20e6)
    assert small[2] == 133
    assert small[0] == small[1]
    assert 18e6 < math.prod(small) <= 20e6
    smaller = page_shape((512, 512, 133), (0.7, 0.7, 2.5), 1e6)
    spacing_mm = np.array((512, 512, 133)) * (0.7, 0.7, 2.5) / smaller
    assert spacing_mm.max() / spacing_mm.min() < 1.05


def test_a_thin_scan_keeps_a_voxel_along_each_axis():
    assert min(page_shape((4000, 4000, 1), (0.1, 0.1, 5), 1000)) == 1


def test_a_voxel_is_the_mean_of_what_it_covers():
    ct = np.arange(12, dtype=np.int16).reshape(3, 4, 1)
    levels = reduce_ct(ct, (3, 2, 1))
    hu = np.array(level_hu())[levels]
    expected = ct.reshape(3, 2, 2, 1).mean(axis=2)
    assert np.abs(hu - expected).max() <= 1


def test_a_mask_keeps_whole_classes():
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[:3], mask[3:] = 2, 5
    assert np.unique(reduce_mask(mask, (4, 3, 6))).tolist() == [2, 5]
    assert np.array_equal(reduce_mask(mask, mask.shape), mask)


def test_the_smaller_grid_covers_the_same_body():
    affine = np.array([[0, -2.0, 0.1, 5], [1, 0, 0, -7], [0, 0.2, 3, 11], [0, 0, 0, 1]])
    shape, small = (10, 20, 30), (5, 8, 30)
    reduced = page_affine(affine, shape, small)
    for corner in ((0, 0, 0), (1, 1, 1), (1, 0, 1)):
        big = affine @ [*(np.array(corner) * shape - 0.5), 1]
        assert np.allclose(reduced @ [*(np.array(corner) * small - 0.5), 1], big)


def test_packed_voxels_come_back():
    volume = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    differences = np.frombuffer(zlib.decompress(base64.b64decode(pack(volume))), np.uint8)
    assert np.array_equal(np.cumsum(differences, dtype=np.uint8).reshape(volume.shape, order="F"), volume)
