import numpy as np
import pytest
import torch
from augment_subjects import ball, noise, subject
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.interpolate import BSpline

from segment.data.augment import RandomSpatial
from segment.data.augment.elastic import spline_weights
from segment.data.augment.warp import resample
from segment.errors import UserError
from segment.runtime.seeding import random_state

sizes = st.tuples(*[st.integers(8, 200)] * 3)
spacings = st.tuples(*[st.floats(0.5, 5)] * 3)
ELASTIC = {"degrees": 0, "scale": 0, "elastic_mm": 12, "grid_mm": 30}


def sampled(transform, size, spacing_mm, seed):
    with random_state(seed):
        return transform.sample_warp(size, spacing_mm)


def in_mm(warp, spacing_mm):
    """The linear part of a map in mm, and the source of the patch's centre in mm from the centre."""
    mm, centre = np.array(spacing_mm), (np.array(warp.size) - 1) / 2
    matrix = np.array(warp.matrix)
    return matrix * mm[:, None] / mm, (matrix @ centre + warp.offset - centre) * mm


def positions_without_elastic(warp):
    """Source positions of the voxels without elastic displacement, not clamped, (3,I,J,K) float64."""
    grid = np.stack(np.meshgrid(*map(np.arange, warp.size), indexing="ij")).astype(float)
    return np.einsum("ab,bijk->aijk", np.array(warp.matrix), grid) + np.reshape(warp.offset, (3, 1, 1, 1))


def test_a_patch_without_sampled_change_is_returned_as_it_is():
    before = noise((9, 8, 7))
    for transform in (
        RandomSpatial(degrees=0, scale=0),
        RandomSpatial(20, 0.5, p_rotate=0, p_scale=0),
        RandomSpatial(20, 0.5, 0.1, elastic_mm=5, p=0),
    ):
        assert transform.sample_warp((9, 8, 7), (1, 1, 1)) is None or transform.probability == 0
        after = transform(before)
        assert torch.equal(after.image.data, before.image.data)
        assert torch.equal(after.label.data, before.label.data)


def test_the_input_is_not_changed():
    before, same = noise(), noise()
    RandomSpatial(30, 0.3, 0.1, elastic_mm=5)(before)
    assert torch.equal(before.image.data, same.image.data)
    assert torch.equal(before.label.data, same.label.data)


def test_dtypes_are_kept():
    after = RandomSpatial(30, 0.3)(noise())
    assert (after.image.data.dtype, after.label.data.dtype) == (torch.float32, torch.uint8)


@given(
    size=sizes,
    spacing_mm=spacings,
    degrees=st.floats(0, 180),
    scale=st.floats(0.01, 1),
    shift=st.floats(0, 0.3),
    seed=st.integers(0, 99),
)
def test_a_map_rotates_scales_and_shifts_but_neither_shears_nor_mirrors(size, spacing_mm, degrees, scale, shift, seed):
    matrix, offset_mm = in_mm(sampled(RandomSpatial(degrees, scale, shift), size, spacing_mm, seed), spacing_mm)
    factor = np.cbrt(np.linalg.det(matrix))
    assert 1 / (1 + scale) - 1e-4 <= factor <= 1 + scale + 1e-4  # positive: no mirror
    assert np.allclose(matrix.T @ matrix, factor**2 * np.eye(3), atol=1e-3)
    assert (np.abs(offset_mm) <= shift * np.array(size) * spacing_mm + 1e-2).all()


@given(degrees=st.floats(0.1, 30), seed=st.integers(0, 99))
def test_angles_stay_in_their_range(degrees, seed):
    matrix, _ = in_mm(sampled(RandomSpatial(degrees, 0), (50, 60, 70), (1, 2, 3), seed), (1, 2, 3))
    # Angles of the product about K, J, I.
    about_j = np.arcsin(-matrix[2, 0])
    about_i, about_k = np.arctan2(matrix[2, 1], matrix[2, 2]), np.arctan2(matrix[1, 0], matrix[0, 0])
    assert (np.abs(np.degrees([about_i, about_j, about_k])) <= degrees + 1e-3).all()


def test_the_whole_range_is_used():
    transform = RandomSpatial(10, 0.5, 0.1)
    maps = [in_mm(sampled(transform, (100, 100, 100), (1, 1, 1), seed), (1, 1, 1)) for seed in range(400)]
    factors = np.array([np.cbrt(np.linalg.det(matrix)) for matrix, _ in maps])
    shifts = np.array([offset for _, offset in maps])
    assert factors.min() < 0.68
    assert factors.max() > 1.48
    assert abs(np.log(factors).mean()) < 0.04  # enlarged as often as reduced
    assert (shifts.min(axis=0) < -9.5).all()
    assert (shifts.max(axis=0) > 9.5).all()
    assert np.degrees(np.arctan2(*np.array([(m[1, 0], m[0, 0]) for m, _ in maps]).T)).max() > 9.5


def test_rotation_scaling_and_deformation_have_their_probabilities():
    transform = RandomSpatial(20, 0.3, elastic_mm=5, p_rotate=0.2, p_scale=0.4, p_elastic=0.6)
    warps = [sampled(transform, (16, 16, 16), (1, 1, 1), seed) for seed in range(600)]
    kinds = [(False,) * 3 if w is None else (w.matrix[0][1] != 0, _scaled(w), w.field is not None) for w in warps]
    assert np.allclose(np.mean(kinds, axis=0), (0.2, 0.4, 0.6), atol=0.06)
    assert np.mean([w is None for w in warps]) == pytest.approx(0.8 * 0.6 * 0.4, abs=0.05)


def _scaled(warp):
    return abs(np.linalg.det(np.array(warp.matrix)) - 1) > 1e-4


@pytest.mark.parametrize("size", [(16, 12, 9), (5, 1, 7), (1, 1, 1)])
@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize("seed", range(4))
def test_resampling_equals_scipy_s(size, degrees, seed, monkeypatch):
    monkeypatch.setattr("segment.data.augment.warp.SLAB_VOXELS", 250)  # two slices per slab
    before = noise(size)
    warp = sampled(RandomSpatial(degrees, 0.4, 0.1), size, (1, 2, 3), seed)
    source = positions_without_elastic(warp)
    inside = np.stack([np.clip(axis, 0, n - 1) for axis, n in zip(source, size, strict=True)])
    image, label = resample([before.image.data, before.label.data], [False, True], warp)
    expected = ndimage.map_coordinates(before.image.data[0].numpy(), source, order=1, mode="nearest")
    assert np.allclose(image[0], expected, atol=1e-4)
    expected = ndimage.map_coordinates(before.label.data[0].numpy(), inside, order=0, mode="nearest")
    clear = (np.abs(inside % 1 - 0.5) > 1e-4).all(axis=0)  # no tie
    assert clear.any()
    assert np.array_equal(label[0].numpy()[clear], expected[clear])


def test_channels_are_resampled_independently():
    image = torch.rand(3, 8, 7, 6)
    warp = sampled(RandomSpatial(20, 0.2), (8, 7, 6), (1, 1, 1), 0)
    (together,) = resample([image], [False], warp)
    apart = torch.cat([resample([channel[None]], [False], warp)[0] for channel in image])
    assert torch.equal(together, apart)


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (0.8, 1, 2.5)])
@pytest.mark.parametrize("seed", range(5))
def test_image_and_label_move_together_and_a_ball_stays_a_ball(seed, spacing_mm):
    size = tuple(round(48 / mm) for mm in spacing_mm)
    before = ball(size, radius=10, spacing_mm=spacing_mm)
    with random_state(seed):
        after = RandomSpatial(25, 0.2, 0.05)(before)
    moved, label = after.image.data[0].numpy() > 0.5, after.label.data[0].numpy()
    assert set(np.unique(label)) == {0, 3}
    assert not np.array_equal(label, before.label.data[0].numpy())
    both = 2 * (moved & (label == 3)).sum() / (moved.sum() + (label == 3).sum())
    assert both > 0.93  # linear and nearest interpolation differ by up to half a voxel at the surface
    assert np.allclose(np.argwhere(moved).mean(axis=0), np.argwhere(label == 3).mean(axis=0), atol=0.2)
    # Equal spread in mm along all directions: no shear.
    spread = np.linalg.eigvalsh(np.cov((np.argwhere(moved) * spacing_mm).T))
    assert spread[2] / spread[0] < 1.12


@pytest.mark.parametrize("seed", range(3))
def test_image_and_label_are_deformed_by_the_same_field(seed):
    # The image holds a coordinate, which is a linear function and therefore interpolated exactly. The label holds the
    # same coordinate, so its nearest voxel differs from the image by half a voxel at most.
    size = (40, 36, 32)
    for axis in range(3):
        coordinate = torch.arange(size[axis]).reshape([-1 if a == axis else 1 for a in range(3)]).expand(size)[None]
        before = subject(coordinate.float().contiguous(), coordinate.to(torch.uint8).contiguous(), (1, 1.2, 2))
        with random_state(seed):
            after = RandomSpatial(15, 0.2, 0.05, elastic_mm=10, grid_mm=25)(before)
        difference = after.image.data - after.label.data.float()
        assert float(difference.abs().max()) <= 0.5 + 1e-4
        assert float(difference.abs().max()) > 0.4


def test_scale_above_one_enlarges(monkeypatch):
    monkeypatch.setattr("segment.data.augment.spatial.log_uniform", lambda low, high: high)
    after = RandomSpatial(degrees=0, scale=0.25)(ball(centre=(0.5, 0.5, 0.5)))
    assert float(after.image.data.sum()) == pytest.approx(1.25**3 * float(ball().image.data.sum()), rel=0.03)


def test_right_stays_right():
    for seed in range(30):
        with random_state(seed):
            after = RandomSpatial(15, 0.2, 0.02, elastic_mm=2)(ball(centre=(0.75, 0.5, 0.5), radius=5))
        assert after.label.data[0, 16:].sum() > after.label.data[0, :16].sum()


@given(size=st.integers(1, 120), spacing_mm=st.floats(0.5, 5), grid_mm=st.floats(5, 60))
def test_spline_weights_equal_scipy_s(size, spacing_mm, grid_mm):
    weights = spline_weights(size, spacing_mm, grid_mm)
    positions = np.arange(size) * spacing_mm / grid_mm
    knots = np.arange(weights.shape[1] + 4) - 3  # the second control point is at the first voxel
    expected = BSpline.design_matrix(positions, knots, 3).toarray()
    assert np.allclose(weights, expected, atol=1e-4)
    assert np.allclose(weights.sum(dim=1), 1, atol=1e-5)


def displacement_mm(warp, spacing_mm):
    """Elastic displacement (3,I,J,K) of a warp that neither rotates nor scales."""
    assert np.allclose(warp.matrix, np.eye(3))
    return _moved(warp) * np.reshape(spacing_mm, (3, 1, 1, 1))


def _moved(warp):
    return np.einsum("ip,apjk->aijk", warp.weights.double(), warp.field.double())


@settings(deadline=None, max_examples=30)
@given(spacing_mm=spacings, seed=st.integers(0, 999))
def test_displacements_are_bounded_in_mm_for_any_spacing(spacing_mm, seed):
    size = tuple(round(60 / mm) for mm in spacing_mm)
    moved_mm = displacement_mm(sampled(RandomSpatial(**ELASTIC), size, spacing_mm, seed), spacing_mm)
    assert 3 < np.abs(moved_mm).max() <= 12 + 1e-3
    # Neighbouring control points, 30 mm apart, differ by 24 mm at most.
    for axis, mm in enumerate(spacing_mm):
        assert np.abs(np.diff(moved_mm, axis=axis + 1)).max() / mm <= 24 / 30 + 1e-3


def test_displacements_have_mean_zero_and_a_fifth_of_the_limit_as_rms():
    moved = [displacement_mm(sampled(RandomSpatial(**ELASTIC), (20,) * 3, (5,) * 3, s), (5,) * 3) for s in range(40)]
    assert np.mean(moved) == pytest.approx(0, abs=0.4)
    assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(12 / 5, rel=0.1)


def test_the_strongest_deformation_does_not_fold(monkeypatch):
    signs = iter(range(1000))

    def extreme(weights, limit_mm):
        rng = np.random.default_rng(next(signs))
        return torch.from_numpy(rng.choice([-limit_mm, limit_mm], (3, *(w.shape[1] for w in weights))).astype("f4"))

    monkeypatch.setattr("segment.data.augment.spatial.random_coefficients", extreme)
    transform = RandomSpatial(0, 0, elastic_mm=16, grid_mm=40)
    for seed in range(20):
        moved = displacement_mm(sampled(transform, (24, 24, 24), (4, 4, 4), seed), (4, 4, 4))
        jacobian = np.array([np.gradient(axis, 4) for axis in moved]) + np.eye(3)[:, :, None, None, None]
        assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0


def test_a_deformation_that_could_fold_is_refused():
    with pytest.raises(UserError, match=r"elastic_mm=20 can fold a patch; take at most 0.40 times grid_mm \(40\)"):
        RandomSpatial(10, 0.1, elastic_mm=20, grid_mm=40)


@pytest.mark.parametrize("seed", range(3))
def test_deformation_equals_scipy_s(seed):
    size, before = (22, 19, 17), noise((22, 19, 17))
    warp = sampled(RandomSpatial(20, 0.3, 0.05, elastic_mm=12, grid_mm=30), size, (2, 2.5, 3), seed)
    (image,) = resample([before.image.data], [False], warp)
    expected = ndimage.map_coordinates(
        before.image.data[0].numpy(), positions_without_elastic(warp) + _moved(warp), order=1, mode="nearest"
    )
    assert np.allclose(image[0], expected, atol=1e-3)


def test_deformation_comes_before_rotation_and_scaling():
    # The displacement is the same everywhere, so the result is the displacement, rotated and scaled.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "segment.data.augment.spatial.random_coefficients",
            lambda weights, limit_mm: (
                torch.tensor([3.0, 0, 0]).reshape(3, 1, 1, 1).expand(3, *(w.shape[1] for w in weights))
            ),
        )
        warp = sampled(RandomSpatial(40, 0.3, elastic_mm=12, grid_mm=30), (9, 8, 7), (2, 1, 3), 0)
    moved = _moved(warp) * np.reshape((2, 1, 3), (3, 1, 1, 1))
    matrix, _ = in_mm(warp, (2, 1, 3))
    assert np.allclose(moved, (matrix @ [3, 0, 0]).reshape(3, 1, 1, 1), atol=1e-4)


def test_all_random_numbers_come_from_torch():
    transform, before, after = RandomSpatial(10, 0.2, 0.1, elastic_mm=5), noise(), []
    for other in range(2):
        np.random.seed(other)
        state = np.random.get_state()[1].copy()
        torch.manual_seed(11)
        after.append(transform(before))
        assert np.array_equal(np.random.get_state()[1], state)
    assert torch.equal(after[0].image.data, after[1].image.data)
    assert torch.equal(after[0].label.data, after[1].label.data)
    assert not torch.equal(after[0].image.data, transform(before).image.data)
