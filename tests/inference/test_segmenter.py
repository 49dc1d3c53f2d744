import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy import ndimage
from torch import nn

from segment.errors import UserError
from segment.inference.postprocess.clean_up import CleanUp
from segment.inference.postprocess.steps import RemoveFragments
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow
from segment.io.scan import Scan
from segment.memory import measure

CT_YAML = Path(__file__).parents[2] / "conf" / "preprocess" / "ct.yaml"
SHAPE = (34, 29, 17)


@pytest.fixture(scope="module")
def segmenter():
    """The real preprocessing, and a network with nearly equal logits everywhere."""
    cfg = OmegaConf.create({"spacing_mm": [3, 3, 3], "preprocess": OmegaConf.load(CT_YAML)})
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.ReLU(), nn.Conv3d(8, 5, 3, padding=1)
    ).eval()
    clean_up = CleanUp(["a", "b", "c", "d"], {"fragments": RemoveFragments(0.1)}, {})
    return Segmenter(net, instantiate(cfg.preprocess), SlidingWindow((16, 16, 16), 6, batch_size=2), clean_up)


@pytest.fixture(scope="module")
def hu():
    noise = np.random.default_rng(0).normal(0, 1, SHAPE)
    return (ndimage.gaussian_filter(noise, 2) * 4000).round().astype(np.int16)


def affine(degrees, shear):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result = np.diag([1.5, 1.7, 4.1, 1])
    result[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ result[:3, :3]
    result[:3, 2] += shear * result[:3, 1]
    result[:3, 3] = (-31.3, 12.7, -340.123)
    return result


@pytest.mark.parametrize(("degrees", "shear"), [(0, 0), (17, 0.2)])
def test_one_ct_in_48_orientations_gives_one_mask(segmenter, hu, degrees, shear):
    masks = set()
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        turn = np.array(list(zip(order, signs, strict=True)), float)
        back = np.empty_like(turn)
        back[list(order)] = list(zip(range(3), signs, strict=True))
        stored = nib.orientations.apply_orientation(hu, turn)
        # As in files: a float32 affine, and voxels in Fortran order.
        stored_affine = (affine(degrees, shear) @ nib.orientations.inv_ornt_aff(turn, SHAPE)).astype(np.float32)
        scan = Scan(np.asfortranarray(stored), stored_affine.astype(float), nib.Nifti1Header(), stored.shape)
        mask = segmenter(scan)
        assert mask.shape == stored.shape
        masks.add(np.ascontiguousarray(nib.orientations.apply_orientation(mask, back)).tobytes())
    (mask,) = masks
    assert len(set(mask)) > 3  # several classes are in the mask


def test_a_trainers_mixed_precision_changes_nothing(segmenter, hu):
    scan = Scan(hu, affine(17, 0.2), nib.Nifti1Header(), hu.shape)
    alone = segmenter(scan)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = segmenter(scan)
    assert np.array_equal(within, alone)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_images_are_converted_to_the_dtype_of_the_network(segmenter, hu, dtype):
    """A trainer in true half or double precision tests such networks."""
    scan = Scan(hu, affine(0, 0), nib.Nifti1Header(), hu.shape)
    expected = segmenter(scan)
    segmenter.net.to(dtype)
    try:
        mask = segmenter(scan)
    finally:
        segmenter.net.float()
    assert (mask == expected).mean() > 0.9


def test_steps_run_in_order(hu):
    """A threshold as network, no preprocessing, and a post-processing step that must come last."""

    class Above(nn.Module):
        def __init__(self):
            super().__init__()
            self.threshold = nn.Parameter(torch.tensor(0.5))

        def forward(self, image):
            assert not self.training
            return torch.cat([torch.zeros_like(image), image - self.threshold], dim=1)

    net = Above().train()
    segmenter = Segmenter(net, lambda subject: subject, SlidingWindow((9, 9, 9), 0), lambda mask, affine: mask * 7)
    mask = segmenter(Scan(hu, np.eye(4), nib.Nifti1Header(), hu.shape))
    assert np.array_equal(mask, 7 * (hu > 0.5))
    assert net.training  # the mode is restored


def test_a_volume_that_does_not_fit_into_memory_is_refused(segmenter, hu, monkeypatch):
    scan = Scan(hu, affine(0, 0), nib.Nifti1Header(), SHAPE)
    size = (17, 16, 23)
    sums = 4 * (3 * 17 * 16 * 23 + 16**3)  # two classes and the sum of weights, and the weights of a window
    assert segmenter.inferer.sum_bytes(size, 2) == sums
    monkeypatch.setattr(measure, "free", lambda _: 100 * sums)
    segmenter.check(size)
    monkeypatch.setattr(measure, "free", lambda _: sums)  # nothing is left for the network
    with pytest.raises(UserError, match=r"segmenting a volume of 17x16x23 voxels, in patches of \[16, 16, 16\], needs"):
        segmenter(scan)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("size", [9, 40])  # many windows, or a single one
def test_a_network_that_gives_nan_is_an_error(hu, exact, size):
    """NaN is the highest logit of no class, so all of the CT would be background."""
    net = nn.Conv3d(1, 3, 1)
    nn.init.constant_(net.weight, float("nan"))
    segmenter = Segmenter(net, lambda subject: subject, SlidingWindow((size,) * 3, 0), None, 3)
    with pytest.raises(UserError, match=r"the network Conv3d gives NaN: its training diverged, .* give another"):
        segmenter.segment(Scan(hu, np.eye(4), nib.Nifti1Header(), hu.shape), exact)
