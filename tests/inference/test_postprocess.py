import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops

from segment.inference.postprocess import KeepLargest


def line(text):
    """A mask along one axis with one digit per voxel."""
    return np.array([int(c) for c in text], np.uint8)[:, None, None]


@pytest.mark.parametrize(
    ("min_share", "before", "after"),
    [
        (1, "1110110100222202", "1110000000222200"),
        (0.5, "1110110100222202", "1110110000222200"),  # pieces of 2 of 3 stay, of 1 of 3 and 1 of 4 go
        (0.25, "1110110100222202", "1110110100222202"),  # a piece of exactly the share stays
        (1, "0110110", "0110110"),  # two equal pieces are both the largest
        (1, "0000", "0000"),
        (1, "1121113", "0021113"),  # another organ separates the pieces and is kept
    ],
)
def test_pieces_below_the_share_are_removed(min_share, before, after):
    mask = line(before)
    assert np.array_equal(KeepLargest(min_share)(mask), line(after))
    assert np.array_equal(mask, line(before))  # the input did not change


def test_corners_and_edges_do_not_connect():
    mask = np.zeros((3, 3, 3), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[1, 1, 1] = 1
    assert np.argwhere(KeepLargest(1)(mask)).tolist() == [[1, 1, 0], [1, 1, 1]]


@settings(deadline=None, max_examples=50)
@given(
    mask=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 3)),
    min_share=st.floats(0.01, 1),
)
def test_keep_largest_equals_scikit_image(mask, min_share):
    expected = np.zeros_like(mask)
    for index in (1, 2, 3):
        pieces = label(mask == index, connectivity=1)
        regions = regionprops(pieces)
        for region in regions:
            if region.area >= min_share * max(r.area for r in regions):
                expected[pieces == region.label] = index
    assert np.array_equal(KeepLargest(min_share)(mask), expected)


@pytest.mark.parametrize("min_share", [0, 1.5, -1])
def test_a_share_out_of_range_is_refused(min_share):
    with pytest.raises(ValueError, match="min_share"):
        KeepLargest(min_share)
