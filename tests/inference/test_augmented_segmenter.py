import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from torch import nn

from segment.errors import UserError
from segment.inference.augmented import AugmentedSegmenter
from segment.inference.ensemble import EnsembleSegmenter
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow
from segment.inference.views import Mirrored, Moved, Scaled, augmentation_views
from segment.io.scan import Scan

ORGANS = ["right_kidney", "left_kidney"]


class BySide(nn.Module):
    """Bright voxels in the first half of a volume (left) are a left kidney, in the other one a right kidney.

    With a weak side, bright voxels of less than 2 on the left are missed.
    """

    def __init__(self, weak=False):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.weak = weak

    def forward(self, image):
        left = torch.arange(image.shape[2]).view(1, -1, 1, 1) < image.shape[2] // 2
        bright = image[:, 0] > torch.where(left & self.weak, 1.5, 0.5)
        classes = torch.where(bright, torch.where(left, 2, 1), 0)
        return 3 * nn.functional.one_hot(classes, 3).movedim(-1, 1).float()


def segmenter(weak=False, size=(32, 24, 24)):
    return Segmenter(BySide(weak), tio.Compose([]), SlidingWindow(size, 0), None, 3)


def scan():
    """A left kidney of 1, and a right one of 2."""
    values = np.zeros((32, 24, 24), np.float32)
    values[4:10, 6:14, 6:14] = 1
    values[20:29, 6:14, 6:14] = 2
    return Scan(values, np.eye(4), nib.Nifti1Header(), values.shape), np.select([values == 2, values == 1], [1, 2])


@pytest.mark.parametrize("exact", [False, True])
def test_views_that_agree_give_the_mask_of_one(exact):
    ct, classes = scan()
    augmented = AugmentedSegmenter(segmenter(), [Mirrored(ORGANS), Moved(2)])
    found = augmented.segment(ct, exact)
    assert np.array_equal(found.mask, classes)
    assert np.array_equal(augmented.segment(ct, exact).mask, found.mask)
    assert sum(search.windows for search in found.searches) == (0 if exact else 10)  # 1, 1 and 8


def test_the_mean_decides_between_views():
    """The network misses the left kidney. Mirrored, it lies on the right, where it finds it."""
    ct, classes = scan()
    weak = segmenter(weak=True)
    assert not (weak(ct) == 2).any()
    mirrored = Mirrored(ORGANS)
    assert np.array_equal(AugmentedSegmenter(weak, [mirrored, mirrored])(ct), classes)
    assert not (AugmentedSegmenter(weak, [mirrored, Moved(0), Moved(0)])(ct) == 2).any()  # one of four


def test_an_ensemble_is_augmented_too():
    ct, classes = scan()
    ensemble = EnsembleSegmenter([segmenter(), segmenter(weak=True)])
    found = AugmentedSegmenter(ensemble, [Mirrored(ORGANS)]).segment(ct, False, ORGANS)
    assert np.array_equal(found.mask, classes)
    assert len(found.searches) == 4
    assert set(found.evidence.looks) == {"moved", "mirrored"}


def test_the_memory_of_the_largest_view_is_checked(monkeypatch):
    sizes = []

    def check(net, inferer, size, classes, networks=1):
        sizes.append(tuple(size))
        if size[0] > 33:
            msg = "too large"
            raise UserError(msg)

    monkeypatch.setattr("segment.inference.segmenter.check_volume", check)
    ct, _ = scan()
    with pytest.raises(UserError, match="too large"):
        AugmentedSegmenter(segmenter(), [Scaled(0.9), Scaled(1.1)])(ct)
    assert sizes == [(32, 24, 24), (29, 22, 22), (35, 26, 26)]


def test_no_view_is_made_at_the_resolution_of_the_ct(monkeypatch):
    """Nothing with the voxels of the CT exists but the image and the masks: probabilities are on the network's grid."""

    class Halve(tio.Transform):
        def apply_transform(self, subject):
            return tio.Resample(4.0)(subject)

    values = np.zeros((64, 64, 64), np.float32)
    values[36:60, 8:40, 8:40] = 2
    ct = Scan(values, np.eye(4), nib.Nifti1Header(), values.shape)
    largest = []
    coarse = Segmenter(BySide(), Halve(), SlidingWindow((16, 16, 16), 0), None, 3)
    augmented = AugmentedSegmenter(coarse, augmentation_views(["mirrored", "moved", "scaled"], ORGANS))
    original = Segmenter.region

    def region(self, image, exact):
        found = original(self, image, exact)
        largest.extend((image.numel(), found[0].logits.numel()))
        return found

    monkeypatch.setattr(Segmenter, "region", region)
    assert augmented.segment(ct, exact=True).mask.any()
    assert len(largest) == 10
    assert max(largest) <= 3 * 27**3 < values.size
