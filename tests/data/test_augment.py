import numpy as np
import pytest
import torch
import torchio as tio
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segment.data.augment import RandomIntensity, RandomSpatial, _linear, _nearest, _places
from segment.data.randomness import random_state

extents = st.tuples(*[st.floats(10, 300)] * 3)


def ball(size=(32, 28, 24), centre=(0.6, 0.45, 0.5), radius=7, spacing_mm=(1, 1, 1)):
    """A ball, as smooth image and as label, off the middle."""
    grids = np.meshgrid(*map(np.arange, size), indexing="ij")
    offsets = [(g - c * (n - 1)) * mm for g, c, n, mm in zip(grids, centre, size, spacing_mm, strict=True)]
    distance = np.sqrt(sum(offset**2 for offset in offsets))
    image = torch.from_numpy(np.clip(radius - distance + 0.5, 0, 1).astype(np.float32))[None]
    affine = np.diag([*spacing_mm, 1])
    label = (image > 0.5).to(torch.uint8) * 3
    return tio.Subject(
        image=tio.ScalarImage(tensor=image, affine=affine), label=tio.LabelMap(tensor=label, affine=affine)
    )


def noise(size=(24, 24, 24), seed=0):
    image = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32))
    return tio.Subject(image=tio.ScalarImage(tensor=image), label=tio.LabelMap(tensor=(image > 0).to(torch.uint8)))


def drawn(transform, extent_mm, seed):
    """The map in mm: where a point at x mm from the centre comes from."""
    with random_state(seed):
        theta = transform._draw(extent_mm).double().numpy()
    half = np.array(extent_mm) / 2
    return theta[:, :3] * half[:, None] / half[None, :], theta[:, 3] * half


def test_nothing_happens_at_zero():
    subject = noise((9, 8, 7))
    result = RandomSpatial(degrees=0, scale=0, shift=0)(subject)
    assert torch.allclose(result.image.data, subject.image.data, atol=1e-5)
    assert torch.equal(result.label.data, subject.label.data)


def test_nothing_happens_at_probability_zero():
    subject = noise()
    result = tio.Compose([RandomSpatial(20, 0.5, 0.1, p=0), RandomIntensity(1, 1, 1, 1, p=0)])(subject)
    assert torch.equal(result.image.data, subject.image.data)
    assert torch.equal(result.label.data, subject.label.data)


@given(
    extent_mm=extents,
    degrees=st.floats(0, 180),
    scale=st.floats(0, 1),
    shift=st.floats(0, 0.3),
    seed=st.integers(0, 99),
)
def test_a_map_turns_scales_and_shifts_but_neither_shears_nor_mirrors(extent_mm, degrees, scale, shift, seed):
    matrix, offset_mm = drawn(RandomSpatial(degrees, scale, shift), extent_mm, seed)
    factor = np.cbrt(np.linalg.det(matrix))
    assert 1 / (1 + scale) - 1e-4 <= factor <= 1 + scale + 1e-4  # positive: no mirror
    assert np.allclose(matrix.T @ matrix, factor**2 * np.eye(3), atol=1e-3)
    assert (np.abs(offset_mm) <= shift * np.array(extent_mm) + 1e-3).all()


@given(degrees=st.floats(0.1, 30), seed=st.integers(0, 99))
def test_angles_stay_in_their_range(degrees, seed):
    matrix, _ = drawn(RandomSpatial(degrees, 0), (50, 60, 70), seed)
    # Angles of the product about K, J, I.
    about_j = np.arcsin(-matrix[2, 0])
    about_i, about_k = np.arctan2(matrix[2, 1], matrix[2, 2]), np.arctan2(matrix[1, 0], matrix[0, 0])
    assert (np.abs(np.degrees([about_i, about_j, about_k])) <= degrees + 1e-3).all()


def test_the_whole_range_is_used():
    maps = [drawn(RandomSpatial(10, 0.5, 0.1), (100, 100, 100), seed) for seed in range(400)]
    factors = np.array([np.cbrt(np.linalg.det(matrix)) for matrix, _ in maps])
    shifts = np.array([offset for _, offset in maps])
    assert factors.min() < 0.68
    assert factors.max() > 1.48
    assert abs(np.log(factors).mean()) < 0.04  # as often larger as smaller
    assert (shifts.min(axis=0) < -9.5).all()
    assert (shifts.max(axis=0) > 9.5).all()
    assert np.degrees(np.arctan2(*np.array([(m[1, 0], m[0, 0]) for m, _ in maps]).T)).max() > 9.5


@pytest.mark.parametrize("size", [(16, 12, 9), (5, 1, 7)])
@pytest.mark.parametrize("seed", range(4))
def test_resampling_is_scipy_s(size, seed):
    subject = noise(size)
    with random_state(seed):
        theta = RandomSpatial(30, 0.4, 0.1)._draw(size)
    # The same in float64: centres of voxels in units of half the patch, mapped, and back to voxels.
    half = np.array(size)[:, None] / 2
    centres = (np.stack(np.meshgrid(*map(np.arange, size), indexing="ij")).reshape(3, -1) + 0.5) / half - 1
    source = (theta[:, :3].double().numpy() @ centres + theta[:, 3:].double().numpy() + 1) * half - 0.5
    source = source.reshape(3, *size)
    places = _places(theta, size)
    inside = [np.clip(axis, 0, n - 1) for axis, n in zip(source, size, strict=True)]
    assert np.allclose(places, inside, atol=1e-4)
    expected = ndimage.map_coordinates(subject.image.data[0].numpy(), source, order=1, mode="nearest")
    assert np.allclose(_linear(subject.image.data, places)[0], expected, atol=1e-3)
    expected = ndimage.map_coordinates(subject.label.data[0].numpy(), inside, order=0, mode="nearest")
    clear = (np.abs(np.array(inside) % 1 - 0.5) > 1e-3).all(axis=0)  # no tie
    assert np.array_equal(_nearest(subject.label.data, places)[0].numpy()[clear], expected[clear])


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (0.8, 1, 2.5)])
@pytest.mark.parametrize("seed", range(5))
def test_image_and_label_move_together_and_a_ball_stays_a_ball(seed, spacing_mm):
    size = tuple(round(48 / mm) for mm in spacing_mm)
    subject = ball(size, radius=10, spacing_mm=spacing_mm)
    with random_state(seed):
        result = RandomSpatial(25, 0.2, 0.05)(subject)
    moved, label = result.image.data[0].numpy() > 0.5, result.label.data[0].numpy()
    assert set(np.unique(label)) == {0, 3}
    assert not np.array_equal(label, subject.label.data[0].numpy())
    both = 2 * (moved & (label == 3)).sum() / (moved.sum() + (label == 3).sum())
    assert both > 0.93  # linear and nearest differ by up to half a voxel at the surface
    assert np.allclose(np.argwhere(moved).mean(axis=0), np.argwhere(label == 3).mean(axis=0), atol=0.2)
    # Equal spread in mm along all directions: no shear.
    spread = np.linalg.eigvalsh(np.cov((np.argwhere(moved) * spacing_mm).T))
    assert spread[2] / spread[0] < 1.12


def test_scale_above_one_enlarges(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size: torch.ones(*size) if size != (3,) else torch.full((3,), 0.5))
    result = RandomSpatial(degrees=10, scale=0.25, shift=0.1)(ball(centre=(0.5, 0.5, 0.5)))
    assert float(result.image.data.sum()) == pytest.approx(1.25**3 * float(ball().image.data.sum()), rel=0.03)


def test_the_right_stays_on_the_right():
    for seed in range(30):
        with random_state(seed):
            result = RandomSpatial(15, 0.2, 0.02)(ball(centre=(0.75, 0.5, 0.5), radius=5))
        right = result.label.data[0, 16:].sum(), result.label.data[0, :16].sum()
        assert right[0] > right[1]


def only(**what):
    return RandomIntensity(**({"contrast": 0, "brightness": 0, "noise": 0, "blur": 0, "p": 1} | what))


def changes(transform, count=200):
    subject = noise()
    for seed in range(count):
        with random_state(seed):
            yield subject.image.data, transform(subject).image.data


def test_contrast_keeps_the_mean_and_scales_deviations():
    factors = []
    for before, after in changes(only(contrast=0.5)):
        assert torch.allclose(after.mean(), before.mean(), atol=1e-5)
        factors.append(float(after.std() / before.std()))
        assert torch.allclose(after - after.mean(), (before - before.mean()) * factors[-1], atol=1e-4)
    assert 1 / 1.5 - 1e-4 <= min(factors) < 0.69
    assert 1.45 < max(factors) <= 1.5 + 1e-4
    assert np.mean(np.log(factors)) == pytest.approx(0, abs=0.05)


def test_brightness_shifts_all_voxels_alike():
    shifts = []
    for before, after in changes(only(brightness=0.2)):
        difference = after - before
        assert float(difference.std()) < 1e-5
        shifts.append(float(difference.mean()))
    assert np.std(shifts) == pytest.approx(0.2, abs=0.03)
    assert np.mean(shifts) == pytest.approx(0, abs=0.045)


def test_noise_is_white_and_at_most_as_strong_as_said():
    deviations = []
    for before, after in changes(only(noise=0.5), count=100):
        difference = (after - before)[0]
        deviations.append(float(difference.std()))
        assert float(difference.mean()) == pytest.approx(0, abs=0.03)
        neighbours = float((difference[1:] * difference[:-1]).mean()) / max(deviations[-1], 0.01) ** 2
        assert neighbours == pytest.approx(0, abs=0.05)
    assert max(deviations) < 0.51
    assert np.mean(deviations) == pytest.approx(0.25, abs=0.05)


def test_blur_is_a_gaussian(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size: torch.full(size[0] if isinstance(size[0], tuple) else size, 0.75))
    subject = noise()
    result = only(blur=2)(subject).image.data[0]
    expected = ndimage.gaussian_filter(subject.image.data[0].numpy(), 1.5, truncate=8)
    assert np.allclose(result[8:-8, 8:-8, 8:-8], expected[8:-8, 8:-8, 8:-8], atol=1e-5)
    flat = tio.Subject(image=tio.ScalarImage(tensor=torch.full((1, 8, 8, 8), 0.3)))
    assert torch.allclose(only(blur=2)(flat).image.data, flat.image.data)


def test_each_change_comes_with_its_probability():
    happened = [not torch.allclose(before, after) for before, after in changes(only(brightness=1, p=0.3), count=400)]
    assert np.mean(happened) == pytest.approx(0.3, abs=0.07)


def test_labels_keep_their_intensities():
    subject = noise()
    result = RandomIntensity(0.5, 0.5, 0.5, 0.5, p=1)(subject)
    assert torch.equal(result.label.data, subject.label.data)


def test_all_randomness_is_torch_s():
    pipeline = tio.Compose([RandomSpatial(10, 0.2, 0.1, p=0.7), RandomIntensity(0.5, 0.5, 0.5, 0.5, p=0.5)])
    subject, results = noise(), []
    for other in range(3):
        np.random.seed(other)
        state = np.random.get_state()[1].copy()
        torch.manual_seed(11)
        results.append(pipeline(subject).image.data)
        assert np.array_equal(np.random.get_state()[1], state)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
