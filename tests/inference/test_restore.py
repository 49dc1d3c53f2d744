import itertools

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.utils._python_dispatch import TorchDispatchMode

from segment.inference import restore as module
from segment.inference.restore import restore

ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)), float)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


def logits_of(shape, classes=4, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((classes, *shape)).astype(np.float32))


def oblique(spacing_mm, degrees=0.0, shear=0.0, origin=(-31.3, 12.7, -340.1)):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(spacing_mm)
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = origin
    return affine


def check(logits, affine, shape, scan_affine):
    """Compare with scipy in world coordinates, except for ties and borders, where rounding decides."""
    voxels = np.stack([*np.indices(shape), np.ones(shape)]).reshape(4, -1)
    at = (np.linalg.inv(affine) @ scan_affine @ voxels)[:3].reshape(3, *shape)
    fine = np.stack([ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in logits.double().numpy()])
    top = np.sort(fine, axis=0)
    beyond = np.maximum(-0.5 - at, at + 0.5 - np.reshape(logits.shape[1:], (3, 1, 1, 1))).max(axis=0)
    sure = (top[-1] - top[-2] > 1e-4) & (np.abs(beyond) > 1e-3)
    mask = restore(logits, affine, shape, scan_affine)
    assert mask.dtype == np.uint8
    assert mask.shape == shape
    assert mask.flags.c_contiguous
    assert np.array_equal(mask[sure], np.where(beyond > 0, 0, fine.argmax(axis=0))[sure])


@settings(deadline=None, max_examples=100)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    size=st.tuples(*[st.integers(1, 6)] * 3),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.5, 5)] * 3),
    first=st.tuples(*[st.floats(-2, 2)] * 3),
    degrees=st.floats(-40, 40),
    shear=st.floats(-0.4, 0.4),
)
def test_restore_equals_scipy(orientation, size, shape, spacing_mm, first, degrees, shear):
    """Any of the 48 orientations, sizes, spacings, positions of the CT's first voxel, rotation and shear."""
    affine = oblique((3, 2, 2.5), degrees, shear)
    step = np.eye(4)
    step[:3, :3] = np.diag(np.array(spacing_mm) / (3, 2, 2.5))
    step[:3, 3] = first
    scan_affine = affine @ step @ nib.orientations.inv_ornt_aff(orientation, shape)
    stored = tuple(np.array(shape)[np.argsort(orientation[:, 0])])
    check(logits_of(size), affine, stored, scan_affine)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_equal_grid_gives_the_exact_argmax_in_the_orientation_of_the_ct(orientation):
    # Integer logits have many ties. The smallest shift would break them.
    logits = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (4, 3, 4, 5))).float()
    affine = oblique((0.7, 0.8, 2.5), degrees=20, shear=0.2)
    expected = nib.orientations.apply_orientation(logits.argmax(0).numpy(), orientation)
    # Preprocessing starts from the float32 affine of a file.
    scan_affine = (affine @ nib.orientations.inv_ornt_aff(orientation, (3, 4, 5))).astype(np.float32).astype(float)
    affine = scan_affine @ np.linalg.inv(nib.orientations.inv_ornt_aff(orientation, (3, 4, 5)))
    mask = restore(logits, affine, expected.shape, scan_affine)
    assert np.array_equal(mask, expected)


def test_upsampling_by_two_by_hand():
    logits = torch.tensor([[0.0, 0.0, 0.0], [-1.0, 3.0, -5.0]])[:, :, None, None]
    # The centres of the CT's six voxels are at -1/4, 1/4, 3/4, 5/4, 7/4, 9/4 of the three. The logits of class 1 there
    # are -1, 0, 2, 1, -3, -5, and those of class 0 are 0. Class 0 wins a tie.
    scan_affine = np.diag([0.5, 1, 1, 1])
    scan_affine[0, 3] = -0.25
    assert restore(logits, np.eye(4), (6, 1, 1), scan_affine).ravel().tolist() == [0, 0, 1, 1, 0, 0]


def test_voxels_that_preprocessing_cropped_away_are_background():
    logits = torch.stack([torch.zeros(2, 2, 2), torch.ones(2, 2, 2)])
    affine = np.eye(4)
    affine[:3, 3] = (1, 2, 0)
    mask = restore(logits, affine, (4, 4, 4), np.eye(4))
    expected = np.zeros((4, 4, 4), np.uint8)
    expected[1:3, 2:4, 0:2] = 1
    assert np.array_equal(mask, expected)


class Largest(TorchDispatchMode):
    """Records the size of the largest tensor that is computed."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_memory_is_limited_by_the_slab(monkeypatch):
    logits, shape = logits_of((6, 6, 6), classes=5), (40, 30, 50)
    scan_affine = np.diag([6 / 40, 6 / 30, 6 / 50, 1])
    whole = restore(logits, np.eye(4), shape, scan_affine)
    monkeypatch.setattr(module, "SLAB_VOXELS", 3 * 30 * 50 + 7)
    with Largest() as largest:
        slabs = restore(logits, np.eye(4), shape, scan_affine)
    assert np.array_equal(slabs, whole)
    # 28 of 30 rows and 46 of 50 columns have their centre in the field of view of the logits.
    assert largest.numbers == 5 * 3 * 28 * 46


def test_a_slab_has_at_least_one_slice(monkeypatch):
    monkeypatch.setattr(module, "SLAB_VOXELS", 1)
    check(logits_of((3, 3, 3)), np.eye(4), (6, 6, 6), np.diag([0.5, 0.5, 0.5, 1]))


def test_preprocessing_that_rotates_is_refused():
    with pytest.raises(ValueError, match="direction of the CT's axes"):
        restore(logits_of((3, 3, 3)), oblique((1, 1, 1), degrees=10), (3, 3, 3), np.eye(4))
