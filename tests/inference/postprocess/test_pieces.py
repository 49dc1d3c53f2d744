import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from segment.inference.postprocess import runs as runs_module
from segment.inference.postprocess.pieces import find_pieces
from segment.inference.postprocess.runs import find_runs, set_runs

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 2))
AFFINE = np.array([[0, 2.0, 0.3, 5], [1.5, 0, 0, -7], [0, 0.2, -4, 11], [0, 0, 0, 1]])


def piece_map(mask):
    """The pieces, and the index of the piece of every voxel; -1 outside of the box."""
    runs = find_runs(mask)
    pieces, of_run = find_pieces(runs, AFFINE)
    result = np.full(mask.shape, -1)
    box = result[tuple(slice(c, c + n) for c, n in zip(runs.corner, runs.size, strict=True))]
    box[...] = np.repeat(of_run, runs.lengths).reshape(runs.size)
    return pieces, result


@settings(deadline=None, max_examples=100)
@given(mask=MASKS.filter(np.any), slab=st.integers(1, 40))
def test_pieces_are_those_of_scipy(mask, slab):
    before, runs_module.SLAB_VOXELS = runs_module.SLAB_VOXELS, slab
    try:
        pieces, index = piece_map(mask)
    finally:
        runs_module.SLAB_VOXELS = before
    assert not mask[index < 0].any()
    inside = index >= 0
    expected = 0
    for value in (0, 1, 2):
        labels, count = ndimage.label((mask == value) & inside)
        expected += count
        for label in range(1, count + 1):
            (piece,) = set(index[labels == label].tolist())  # all voxels of a component are in one piece
            voxels = np.argwhere(labels == label)
            assert pieces.value[piece] == value
            assert pieces.voxels[piece] == len(voxels)
            assert np.array_equal(pieces.low[piece], voxels.min(axis=0))
            assert np.array_equal(pieces.high[piece], voxels.max(axis=0))
            centre_mm = AFFINE[:3, :3] @ voxels.mean(axis=0) + AFFINE[:3, 3]
            assert np.allclose(pieces.centre_mm[piece], centre_mm, atol=1e-5)
            assert np.isclose(pieces.volume_ml[piece], len(voxels) * abs(np.linalg.det(AFFINE[:3, :3])) / 1000)
    assert len(pieces.value) == expected


@settings(deadline=None, max_examples=50)
@given(mask=MASKS.filter(np.any))
def test_pairs_are_pieces_with_a_common_face(mask):
    pieces, index = piece_map(mask)
    expected = set()
    for axis in range(3):
        along = np.moveaxis(index, axis, 0)
        one, two = along[:-1].ravel(), along[1:].ravel()
        for a, b in zip(one.tolist(), two.tolist(), strict=True):
            if a != b and min(a, b) >= 0:
                expected.add((min(a, b), max(a, b)))
    assert {tuple(pair) for pair in pieces.pairs.tolist()} == expected


@settings(deadline=None, max_examples=50)
@given(mask=MASKS.filter(np.any), slab=st.integers(1, 40), data=st.data())
def test_runs_are_overwritten(mask, slab, data):
    runs = find_runs(mask)
    values = data.draw(hnp.arrays(np.uint8, len(runs.start), elements=st.integers(0, 5)))
    which = np.flatnonzero(values)
    before, runs_module.SLAB_VOXELS = runs_module.SLAB_VOXELS, slab
    try:
        result = mask.copy()
        set_runs(result, runs, which, values[which])
    finally:
        runs_module.SLAB_VOXELS = before
    box = tuple(slice(c, c + n) for c, n in zip(runs.corner, runs.size, strict=True))
    expected = mask.copy()
    expected[box] = np.repeat(np.where(values > 0, values, runs.value), runs.lengths).reshape(runs.size)
    assert np.array_equal(result, expected)


def test_an_empty_mask_has_no_runs():
    assert find_runs(np.zeros((3, 4, 5), np.uint8)) is None
