import numpy as np
from dicom_files import stack_positions, write_series

from segment.io.padding import padding_as_air
from segment.io.read import read_ct


def slice_of_a_circle(padding):
    """64x64 stored values: a circle with random values of tissue, surrounded by padding."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    circle = rows**2 + columns**2 < 31**2
    return np.where(circle, np.random.default_rng(0).integers(-60, 60, (64, 64)), padding).astype(np.int16), circle


def test_tissue_with_the_value_of_padding_is_unchanged(tmp_path):
    stored, circle = slice_of_a_circle(0)
    assert (stored[circle] == 0).sum() > 10
    write_series(tmp_path, stack_positions(2), stored=stored, RescaleIntercept=0, PixelPaddingValue=0)
    expected = np.where(circle, stored, -1024)
    same_value = circle & (stored == 0)
    touching = np.zeros_like(same_value)  # tissue with this value that touches the padding looks like padding
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        touching |= same_value & np.roll(~circle, step, axis)
    np.testing.assert_array_equal(read_ct(tmp_path).data[..., 0].T[~touching], expected[~touching])
    assert touching.sum() <= 3


def test_a_range_of_padding_is_connected_across_its_values():
    hu = np.full((7, 7), 40.0)
    hu[0], hu[:, 0], hu[3, 3:5] = 1.0, 2.0, 1.5
    expected = np.full((7, 7), 40.0)
    expected[0] = expected[:, 0] = -1024
    expected[3, 3:5] = 1.5
    np.testing.assert_array_equal(padding_as_air(hu, (1, 2)), expected)


def test_a_slice_without_padding_is_unchanged():
    hu = np.full((5, 5), 40.0)
    hu[2, 2] = -500
    np.testing.assert_array_equal(padding_as_air(hu, (-500, -500)), hu)
