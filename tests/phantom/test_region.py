import numpy as np

from segment.phantom.region import Region


def test_an_organ_that_is_one_piece_loses_its_specks():
    axis = np.arange(24, dtype=np.float32)
    x, y, z = (np.ascontiguousarray(grid) for grid in np.meshgrid(axis, axis, axis, indexing="ij"))
    blank = {name: np.zeros(x.shape, np.uint8) for name in ("tissue", "label")}
    free = np.abs(x - 18) - 1  # a wall claimed before
    body = Region((axis, axis, axis), x, y, z, np.zeros_like(x), free=free.copy(), edge_mm=1.0, tissue_hu={}, **blank)
    organ = np.minimum(np.hypot(np.hypot(x - 8, y - 12), z - 12) - 9, np.hypot(np.hypot(x - 22, y - 12), z - 12) - 1.5)
    assert (body.claim(organ.copy(), 0)[20:] < 0).any()
    body.free = free.copy()
    claimed = body.claim(organ, 0, whole=True)
    assert not (claimed[20:] < 0.5).any()
    assert np.array_equal(claimed[:16], organ[:16])
