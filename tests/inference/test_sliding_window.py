import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from torch import nn

from segment.inference.sliding_window import SlidingWindow

edges = st.integers(1, 7)
windows = st.tuples(edges, st.integers(0, 6)).filter(lambda w: w[1] < w[0])


class Recorder:
    """An identity network that stores its inputs."""

    def __init__(self):
        self.batches = []

    def __call__(self, image):
        self.batches.append(image.clone())
        return image


@settings(deadline=None, max_examples=60)
@given(size=st.tuples(edges, edges, edges), axes=st.tuples(windows, windows, windows), batch_size=st.integers(1, 3))
def test_an_identity_network_returns_its_input(size, axes, batch_size):
    image = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0))
    patch_size, overlap = zip(*axes, strict=True)
    net = Recorder()
    logits = SlidingWindow(patch_size, overlap, batch_size)(net, image)
    torch.testing.assert_close(logits, image, rtol=1e-5, atol=1e-6)
    assert {tuple(batch.shape[2:]) for batch in net.batches} == {patch_size}
    assert max(len(batch) for batch in net.batches) <= batch_size
    assert SlidingWindow(patch_size, overlap).windows(size) == sum(len(batch) for batch in net.batches)


@settings(deadline=None)
@given(size=st.integers(1, 60), window=windows)
def test_windows_are_evenly_spaced_and_as_few_as_the_overlap_allows(size, window):
    patch, overlap = window
    size = max(size, patch)
    corners = SlidingWindow((patch, 1, 1), (overlap, 0, 0)).axes((size, 1, 1))[0]
    steps = [b - a for a, b in itertools.pairwise(corners)]
    assert corners[0] == 0
    assert corners[-1] == size - patch
    assert all(step <= patch - overlap for step in steps)
    assert max(steps, default=0) - min(steps, default=0) <= 1
    assert len(corners) == 1 + math.ceil((size - patch) / (patch - overlap))


def test_a_small_volume_is_padded_with_its_minimum_on_all_sides():
    image = torch.arange(8.0).reshape(1, 1, 2, 2, 2) - 5
    net = Recorder()
    logits = SlidingWindow((4, 5, 2), 0)(net, image)
    (seen,) = net.batches
    assert torch.equal(seen[:, :, 1:3, 1:3], image)  # one voxel before; one and two after
    assert seen.sum() == image.sum() - 5 * (4 * 5 * 2 - 8)
    torch.testing.assert_close(logits, image)


def conv_net(classes):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, classes, 3, padding=1)).eval()


@torch.no_grad()
def test_sliding_window_equals_monai_if_the_windows_are_equal():
    # (n - patch) is a multiple of the step, so MONAI does not shift the last window.
    image, net = torch.randn(1, 1, 16, 20, 8), conv_net(3)
    ours = SlidingWindow((8, 8, 8), 4)(net, image)
    monai = sliding_window_inference(image, (8, 8, 8), 1, net, overlap=0.5, mode="gaussian", sigma_scale=0.125)
    torch.testing.assert_close(ours, monai, rtol=1e-4, atol=1e-5)
    constant = sliding_window_inference(image, (8, 8, 8), 1, net, overlap=0.5, mode="constant")
    assert not torch.allclose(ours, constant, rtol=1e-3, atol=1e-3)  # the weights have an effect


@torch.no_grad()
def test_the_batch_size_does_not_change_the_result():
    image, net = torch.randn(1, 1, 13, 9, 11), conv_net(2)
    one, several = (SlidingWindow((6, 6, 6), (3, 2, 0), size)(net, image) for size in (1, 5))
    torch.testing.assert_close(one, several, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("default", [torch.float32, torch.bfloat16])
def test_sums_are_float32_for_any_dtype_of_the_network(dtype, default):
    """A trainer in true half precision changes the default type as well."""
    image = torch.linspace(0, 60000, 9**3).reshape(1, 1, 9, 9, 9)
    torch.set_default_dtype(default)
    try:
        logits = SlidingWindow((4, 4, 4), 3)(lambda patch: patch.to(dtype), image)
    finally:
        torch.set_default_dtype(torch.float32)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, image.to(dtype).float(), rtol=3e-6, atol=0)  # half precision rounds by 5e-4


def test_the_centre_of_a_patch_has_more_weight_than_its_border():
    """Two windows of 9 voxels overlap by 5. Voxel 4 is the centre of one and at the border of the other."""
    answers = iter((0.0, 1.0))
    logits = SlidingWindow((9, 1, 1), (5, 0, 0))(
        lambda p: torch.full_like(p, next(answers)), torch.zeros(1, 1, 13, 1, 1)
    )
    near, far = math.exp(-0.5 * (0 / (9 / 8)) ** 2), math.exp(-0.5 * (4 / (9 / 8)) ** 2)
    assert float(logits[0, 0, 4, 0, 0]) == pytest.approx(far / (near + far), rel=1e-5)
    assert float(logits[0, 0, 6, 0, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize(("patch_size", "overlap"), [((4, 4, 4), 4), ((4, 4, 4), (0, 0, -1)), ((4, 4), (0, 0))])
def test_an_overlap_that_is_not_below_the_patch_size_is_refused(patch_size, overlap):
    with pytest.raises(ValueError, match=r"overlap|patch_size must be .* got \(4, 4\)"):
        SlidingWindow(patch_size, overlap)
