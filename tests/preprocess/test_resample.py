import itertools

import numpy as np
import pytest
import torch
import torchio as tio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segment.errors import UserError
from segment.memory import measure
from segment.preprocess import separable as module
from segment.preprocess.resample import Resample, resampled_bytes, rescaled_affine
from segment.preprocess.separable import apply_along_axes, centred_positions, linear, linear_weights, nearest

sizes = st.tuples(*[st.integers(1, 24)] * 3)
affines = st.tuples(
    st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.lists(st.floats(-500, 500), min_size=3, max_size=3)
).map(
    lambda values: np.block(
        [[np.reshape(values[0], (3, 3)) + 3 * np.eye(3), np.array(values[1])[:, None]], [0, 0, 0, 1]]
    )
)


def corners(affine, size):
    """Corners in mm of the box that the voxels fill (not of their centres)."""
    ends = itertools.product(*((-0.5, n - 0.5) for n in size))
    return np.array([affine @ (*end, 1) for end in ends])[:, :3]


def random_volume(size, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32))


@given(affine=affines, size_in=sizes, size_out=sizes)
def test_the_field_of_view_is_kept(affine, size_in, size_out):
    result = rescaled_affine(affine, size_in, size_out)
    assert np.allclose(corners(affine, size_in), corners(result, size_out), rtol=0, atol=1e-9)


@settings(max_examples=60)
@given(
    affine=affines,
    size_in=st.tuples(*[st.integers(4, 30)] * 3),
    size_out=sizes,
    slope=st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_a_linear_function_of_position_keeps_its_values(affine, size_in, size_out, slope):
    def ramp(affine, size):
        ijk = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
        return (ijk @ affine[:3, :3].T + affine[:3, 3] - affine[:3, 3]) @ np.array(slope)

    origin = affine.copy()
    result = rescaled_affine(origin, size_in, size_out)
    found = linear(torch.from_numpy(ramp(origin, size_in))[None].float(), size_out)[0].numpy()
    expected = ramp(result, size_out) + (result[:3, 3] - origin[:3, 3]) @ np.array(slope)
    # Only away from the border. The filter extends to max(1, in/out) input voxels on each side, exclusive.
    inside = []
    for n, m in zip(size_in, size_out, strict=True):
        centre, reach = (np.arange(m) + 0.5) * n / m - 0.5, max(1, n / m)
        inside.append((centre - reach >= -1) & (centre + reach <= n))
    keep = np.ix_(*inside)
    assert np.allclose(found[keep], expected[keep], rtol=0, atol=1e-3)


@settings(max_examples=40)
@given(size_in=sizes, factor=st.tuples(*[st.floats(1, 3)] * 3))
def test_upsampling_equals_scipy_s(size_in, factor):
    size_out = [round(n * f) for n, f in zip(size_in, factor, strict=True)]
    volume = random_volume(size_in)
    positions = [(np.arange(m) + 0.5) * n / m - 0.5 for n, m in zip(size_in, size_out, strict=True)]
    grid = np.meshgrid(*positions, indexing="ij")
    expected = ndimage.map_coordinates(volume[0].numpy(), grid, order=1, mode="nearest")
    assert np.allclose(linear(volume, size_out)[0].numpy(), expected, atol=1e-5)


def test_resampling_to_the_same_size_changes_no_bit():
    volume = random_volume((7, 8, 9))
    assert torch.equal(linear(volume, (7, 8, 9)), volume)
    assert torch.equal(nearest(volume, (7, 8, 9)), volume)


def test_shrinking_by_two_worked_by_hand():
    # Output voxel 1 of 4 is centred at 2.5; a triangle of half width 2 gives distances 0.5 and 1.5 the weights
    # 0.75 and 0.25. At the left end voxel -1 is missing, and the other weights are scaled to sum to 1.
    weights = linear_weights(8, centred_positions(8, 4), width=2)
    assert np.allclose(weights[1], np.array([0, 1, 3, 3, 1, 0, 0, 0]) / 8)
    assert np.allclose(weights[0], np.array([3, 3, 1, 0, 0, 0, 0, 0]) / 7)


@given(size_in=st.integers(1, 40), size_out=st.integers(1, 40))
def test_weights_are_not_negative_and_sum_to_1(size_in, size_out):
    weights = linear_weights(size_in, centred_positions(size_in, size_out), width=max(1, size_in / size_out))
    assert weights.shape == (size_out, size_in)
    assert weights.min() >= 0
    assert np.allclose(weights.sum(dim=1), 1, atol=1e-6)
    assert torch.allclose(weights, weights.flip(0, 1), atol=1e-6)  # a mirrored line has mirrored weights


def test_the_border_is_repeated_outside_the_line():
    weights = linear_weights(3, torch.tensor([-5.0, 1.25, 9.0], dtype=torch.float64))
    assert weights.tolist() == [[1, 0, 0], [0, 0.75, 0.25], [0, 0, 1]]


def test_shrinking_averages_noise():
    noisy = random_volume((96, 96, 96))
    # Sum of the squared weights of the triangle above: (1 + 9 + 9 + 1) / 64 per axis.
    assert float(linear(noisy, (48, 48, 48)).std()) == pytest.approx((20 / 64) ** 1.5, rel=0.02)


@given(size_in=sizes, size_out=sizes, seed=st.integers(0, 9))
def test_nearest_takes_the_nearest_voxel(size_in, size_out, seed):
    label = torch.from_numpy(np.random.default_rng(seed).integers(0, 255, (2, *size_in), dtype=np.uint8))
    found = nearest(label, size_out)
    index = []
    for n, m in zip(size_in, size_out, strict=True):
        centre = (np.arange(m) + 0.5) * n / m - 0.5
        distance = np.abs(centre[:, None] - np.arange(n)).round(9)
        index.append(n - 1 - distance[:, ::-1].argmin(axis=1))  # a tie goes to the upper voxel
    assert found.dtype == torch.uint8
    assert np.array_equal(found.numpy(), label.numpy()[(slice(None), *np.ix_(*index))])


@given(size=sizes, out=sizes)
def test_matrices_along_axes_equal_einsum(size, out):
    weights = [
        torch.from_numpy(np.random.default_rng(a).normal(size=(m, n)))
        for a, (n, m) in enumerate(zip(size, out, strict=True))
    ]
    volume = torch.from_numpy(np.random.default_rng(9).normal(size=(2, *size)))
    expected = np.einsum("cijk,ai,bj,dk->cabd", volume, *weights, optimize=True)
    assert np.allclose(apply_along_axes(volume, weights), expected)


def subject(size=(30, 20, 10), affine=None):
    affine = np.diag([0.8, 0.8, 2.5, 1]) if affine is None else affine
    image = random_volume(size)
    return tio.Subject(
        image=tio.ScalarImage(tensor=image, affine=affine),
        label=tio.LabelMap(tensor=(image > 1).to(torch.uint8), affine=affine),
    )


def test_resampling_to_a_spacing():
    result = Resample(spacing_mm=[1.6, 1.5, 1])(subject())
    # 30 × 0.8 / 1.6 = 15, 20 × 0.8 / 1.5 = 10.67 → 11, 10 × 2.5 / 1 = 25
    assert result.image.spatial_shape == result.label.spatial_shape == (15, 11, 25)
    assert np.allclose(result.image.spacing, (1.6, 16 / 11, 1))
    assert np.array_equal(result.image.affine, result.label.affine)
    assert np.allclose(corners(result.image.affine, (15, 11, 25)), corners(np.diag([0.8, 0.8, 2.5, 1]), (30, 20, 10)))
    assert result.label.data.dtype == torch.uint8
    assert torch.equal(result.label.data, nearest(subject().label.data, (15, 11, 25)))
    assert torch.equal(result.image.data, linear(subject().image.data, (15, 11, 25)))


def test_resampling_to_a_size():
    result = Resample(size=[16, 16, 16])(subject())
    assert result.image.shape == result.label.shape == (1, 16, 16, 16)
    assert np.allclose(result.image.spacing, (1.5, 1, 25 / 16))


def test_resampling_with_a_sheared_and_oblique_affine():
    affine = np.array([[0.8, 0.3, 0, 5], [-0.1, 0.9, 0.4, 6], [0, 0, 2.5, 7], [0, 0, 0, 1]])
    result = Resample(spacing_mm=[2, 2, 2])(subject(affine=affine))
    assert np.allclose(corners(result.image.affine, result.image.spatial_shape), corners(affine, (30, 20, 10)))
    lengths = np.linalg.norm(affine[:3, :3], axis=0) * (30, 20, 10)
    assert result.image.spatial_shape == tuple(np.round(lengths / 2))


def test_a_thin_volume_keeps_one_voxel():
    assert Resample(spacing_mm=[100, 100, 100])(subject()).spatial_shape == (1, 1, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"spacing_mm": [1, 1, 1], "size": [1, 1, 1]},
        {"spacing_mm": [1, 1]},
        {"spacing_mm": [1, 0, 1]},
        {"size": [4, -4, 4]},
    ],
)
def test_invalid_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=r"takes either spacing_mm or size; got|must be a list of 3, each"):
        Resample(**wrong)


@pytest.mark.parametrize(("size_out", "axis"), [((7, 5, 25), 2), ((24, 5, 3), 0), ((12, 40, 30), 1)])
def test_a_volume_is_resampled_in_slabs_across_the_axis_that_shrinks_least(monkeypatch, size_out, axis):
    volume = random_volume((12, 9, 30))
    whole = linear(volume, size_out)
    monkeypatch.setattr(module, "SLAB_VOXELS", 4 * volume.numel() // volume.shape[1 + axis])
    read = []

    def part(box):
        read.append(box)
        return volume[(0, *box)][None].contiguous()

    slabs = module.linear_by_slabs(part, (12, 9, 30), size_out)
    assert torch.allclose(slabs, whole, atol=1e-6)
    assert all(box[axis].stop - box[axis].start <= 4 for box in read)
    assert len(read) == -(-volume.shape[1 + axis] // 4)


def test_memory_of_resampling_worked_by_hand():
    # K shrinks, so it is first: 4·(8·8·2) bytes, and a matrix with 4 float64 copies. Then I and J grow.
    first = 4 * 8 * 8 * 2 + 32 * 8 * 2
    second = 4 * (8 * 8 * 2 + 16 * 8 * 2) + 32 * 8 * 16
    third = 4 * (16 * 8 * 2 + 16 * 16 * 2) + 32 * 8 * 16
    assert resampled_bytes((1, 8, 8, 8), (16, 16, 2)) == max(first, second, third)
    assert resampled_bytes((1, 8, 8, 8), (8, 8, 8)) == 4 * 2 * 8**3
    assert resampled_bytes((1, 8, 8, 8), (8, 8, 16), labels=True) == 8**3 + 2 * 8**3


def test_a_grid_too_large_for_the_memory_is_refused_with_a_spacing_that_fits(monkeypatch):
    monkeypatch.setattr(measure, "free", lambda _: 200_000)
    with pytest.raises(UserError, match=r"to 240x160x250 voxels needs .* GB of memory, and 0.0002 GB are") as refusal:
        Resample(spacing_mm=[0.1, 0.1, 0.1])(subject())
    fitting = [float(n) for n in str(refusal.value).rpartition("[")[2].rstrip("]").split(",")]
    assert Resample(spacing_mm=fitting)(subject()).spatial_shape[0] > 3
    with pytest.raises(UserError, match=r"train with a smaller size than \[100, 100, 100\]"):
        Resample(size=[100, 100, 100])(subject())
