import nibabel as nib
import numpy as np
import torch

from segment.inference.region import Region, foreground_box, union
from segment.inference.restore import restore


def test_the_box_around_a_mask_with_a_margin():
    mask = torch.zeros(9, 8, 7, dtype=torch.uint8)
    mask[4, 3:5, 0] = 2
    mask[7, 3, 2] = 1
    assert foreground_box(mask, margin=1) == (slice(3, 9), slice(2, 6), slice(0, 4))
    assert foreground_box(mask, margin=0) == (slice(4, 8), slice(3, 5), slice(0, 3))
    assert foreground_box(torch.zeros(3, 3, 3), margin=1) == (slice(0, 1),) * 3


def test_the_union_of_boxes():
    boxes = [(slice(1, 3), slice(0, 2), slice(4, 5)), (slice(0, 2), slice(5, 6), slice(4, 9))]
    assert union(boxes) == (slice(0, 3), slice(0, 6), slice(4, 9))


def test_the_trimmed_logits_give_the_mask_of_all_logits():
    """On finer and coarser grids, shifted and turned; organs in the middle, at the border and nowhere."""
    rng = np.random.default_rng(0)
    for trial in range(40):
        logits = torch.from_numpy(rng.normal(size=(3, 9, 10, 11)).astype(np.float32))
        logits[0] += 20
        corner = rng.integers(0, 6, 3)
        logits[(slice(1, None), *(slice(c, c + 4) for c in corner))] += 20 * (trial % 4 > 0)
        affine = np.diag([1.5, 2.0, 3.0, 1])
        shape = tuple(rng.integers(8, 24, 3))
        turn = nib.orientations.axcodes2ornt([("R", "A", "S"), ("L", "S", "P"), ("I", "R", "A")][trial % 3])
        scan_affine = affine @ np.diag([*rng.uniform(0.4, 1.3, 3), 1])
        scan_affine[:3, 3] = rng.uniform(-2, 2, 3)
        scan_affine = scan_affine @ nib.orientations.inv_ornt_aff(turn, shape)
        region = Region(logits, (0, 0, 0)).trimmed()
        expected = restore(logits, affine, shape, scan_affine)
        assert np.array_equal(restore(region.logits, region.affine(affine), shape, scan_affine), expected)
    assert region.logits.shape[1:] < logits.shape[1:]
