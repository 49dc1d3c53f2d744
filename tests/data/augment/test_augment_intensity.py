import numpy as np
import pytest
import torch
import torchio as tio
from augment_subjects import noise, subject
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from segment.data.augment import (
    RandomBlur,
    RandomBrightness,
    RandomContrast,
    RandomGamma,
    RandomLowResolution,
    RandomNoise,
)
from segment.data.augment.sampling import log_uniform, uniform
from segment.errors import UserError
from segment.preprocess import separable
from segment.runtime.seeding import random_state

SUITE = [
    RandomNoise(deviation=[0.1, 0.2], p=1),
    RandomBrightness(factor=[1.1, 1.25], p=1),
    RandomContrast(factor=[1.1, 1.25], p=1),
    RandomGamma(gamma=[0.7, 0.9], inverted=False, p=1),
    RandomGamma(gamma=[0.7, 0.9], inverted=True, p=1),
    RandomBlur(sigma=[0.5, 1], p=1),
    RandomLowResolution(scale=[0.5, 0.7], p=1),
]
each = pytest.mark.parametrize("transform", SUITE, ids=lambda transform: transform.name)


def changes(transform, count=200, before=None):
    before = before or noise()
    for seed in range(count):
        with random_state(seed):
            yield before.image.data, transform(before).image.data


def changed(transform, data, seed=0):
    """An array (I,J,K) after the transform."""
    image = torch.from_numpy(np.asarray(data, np.float32))[None]
    with random_state(seed):
        return transform(subject(image, torch.zeros(image.shape, dtype=torch.uint8))).image.data[0].numpy()


@each
def test_only_the_image_changes(transform):
    before, same = noise((12, 11, 10)), noise((12, 11, 10))
    after = transform(before)
    assert not torch.allclose(after.image.data, before.image.data, atol=1e-3)
    assert torch.equal(before.image.data, same.image.data)  # the input is not changed
    assert torch.equal(after.label.data, before.label.data)
    assert (after.image.data.dtype, after.label.data.dtype) == (torch.float32, torch.uint8)
    assert after.image.data.shape == before.image.data.shape
    assert np.array_equal(after.image.affine, before.image.affine)


@each
def test_integers_become_float(transform):
    image = torch.arange(8 * 7 * 6, dtype=torch.int16).reshape(1, 8, 7, 6)
    after = transform(subject(image, torch.zeros_like(image)))
    assert after.image.data.dtype == torch.float32


@each
def test_a_constant_image_stays_finite(transform):
    for _, after in changes(transform, 5, subject(torch.full((1, 8, 7, 6), -0.5), torch.zeros(1, 8, 7, 6))):
        assert after.isfinite().all()


@each
def test_all_random_numbers_come_from_torch(transform):
    state = np.random.get_state()[1].copy()
    (_, first), (_, other) = changes(transform, 2)
    ((_, again),) = changes(transform, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    "build",
    [
        lambda p: RandomNoise([1, 2], p=p),
        lambda p: RandomBrightness([1.5, 2], p=p),
        lambda p: RandomContrast([0.5, 0.6], p=p),
        lambda p: RandomGamma([0.5, 0.6], inverted=True, p=p),
        lambda p: RandomBlur([1, 2], p=p),
        lambda p: RandomLowResolution([0.3, 0.5], p=p),
    ],
)
def test_each_change_has_its_probability(build):
    before = noise((6, 6, 6))
    happened = [not torch.allclose(a, b) for a, b in changes(build(0.3), 400, before)]
    assert np.mean(happened) == pytest.approx(0.3, abs=0.07)
    assert not any(not torch.equal(a, b) for a, b in changes(build(0), 20, before))


def test_noise_is_white_and_has_the_given_deviation():
    deviations = []
    for before, after in changes(RandomNoise([0.1, 0.5], p=1), count=100):
        difference = (after - before)[0]
        deviations.append(float(difference.std()))
        assert float(difference.mean()) == pytest.approx(0, abs=0.03)
        assert float((difference[1:] * difference[:-1]).mean()) / deviations[-1] ** 2 == pytest.approx(0, abs=0.05)
    assert 0.098 < min(deviations) < 0.13
    assert 0.47 < max(deviations) < 0.51
    assert np.mean(deviations) == pytest.approx(0.3, abs=0.05)


def test_brightness_multiplies():
    factors = []
    for before, after in changes(RandomBrightness([0.8, 1.25], p=1)):
        factors.append(float(after.std() / before.std()))
        assert torch.allclose(after, before * factors[-1], atol=1e-4)
    assert 0.8 - 1e-4 <= min(factors) < 0.82
    assert 1.22 < max(factors) <= 1.25 + 1e-4
    assert np.mean(np.log(factors)) == pytest.approx(0, abs=0.03)


def test_contrast_scales_deviations_from_the_mean_and_clips_to_the_range():
    factors = []
    for before, after in changes(RandomContrast([0.5, 2], p=1)):
        middle = (before - before.mean()).abs() < 0.5 * before.abs().max() - 0.1
        slope = (after - before.mean())[middle] / (before - before.mean())[middle]
        factors.append(float(slope.median()))
        assert torch.allclose(
            after, ((before - before.mean()) * factors[-1] + before.mean()).clamp(*before.aminmax()), atol=1e-3
        )
    assert 0.5 - 1e-3 <= min(factors) < 0.55
    assert 1.85 < max(factors) <= 2 + 1e-3


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_is_a_power_and_keeps_mean_and_deviation(inverted):
    data = np.random.default_rng(0).gamma(2, size=(16, 15, 14)) - 3
    after = changed(RandomGamma([1.4, 1.4], inverted=inverted, p=1), data)
    flipped = -data if inverted else data
    power = ((flipped - flipped.min()) / np.ptp(flipped)) ** 1.4
    power = -power if inverted else power
    expected = (power - power.mean()) / power.std() * data.std() + data.mean()
    assert np.allclose(after, expected, atol=1e-3)


@pytest.mark.parametrize("offset", [0, 1000])
def test_gamma_keeps_statistics_far_from_zero(offset):
    data = np.random.default_rng(0).normal(offset, 2, size=(20, 20, 20))
    after = changed(RandomGamma([0.7, 0.7], inverted=False, p=1), data).astype(float)
    assert after.mean() == pytest.approx(data.mean(), abs=0.01)
    assert after.std() == pytest.approx(data.std(), rel=0.001)


def test_blur_does_not_change_a_constant_image():
    assert np.allclose(changed(RandomBlur([2, 2], p=1), np.full((8, 8, 8), 0.3)), 0.3)


def test_blur_is_a_gaussian_with_a_different_width_along_each_axis(monkeypatch):
    widths = iter([0.6, 1.0, 1.5])
    monkeypatch.setattr("segment.data.augment.sharpness.uniform", lambda low, high: next(widths))
    data = np.random.default_rng(0).normal(size=(24, 22, 26))
    after = changed(RandomBlur([0.5, 2], p=1), data)
    expected = ndimage.gaussian_filter(data, (0.6, 1.0, 1.5), truncate=8)
    inner = np.s_[8:-8, 8:-8, 8:-8]
    assert np.allclose(after[inner], expected[inner], atol=1e-5)


def test_low_resolution_averages_over_larger_voxels_and_interpolates_back():
    data = np.zeros((2, 3, 8))
    data[:, :, 3] = 1
    # Voxels of twice the size are centred at 0.5, 2.5, 4.5 and 6.5. A triangle of half width 2 gives the bright voxel
    # the weights 0, 3/8, 1/8 and 0. Linear interpolation at 0 … 7 then gives:
    expected = [0, 3 / 32, 9 / 32, 10 / 32, 6 / 32, 3 / 32, 1 / 32, 0]
    after = changed(RandomLowResolution([0.5, 0.5], p=1, axes=[2]), data)
    assert np.allclose(after, np.broadcast_to(expected, data.shape), atol=1e-6)


@given(scale=st.floats(0.2, 1), axis=st.integers(0, 2))
def test_low_resolution_does_not_change_other_axes(scale, axis):
    size = (20, 18, 16)
    other = (axis + 1) % 3
    ramp = np.arange(size[other], dtype=float).reshape([-1 if a == other else 1 for a in range(3)])
    data = np.broadcast_to(ramp, size)
    assert np.allclose(changed(RandomLowResolution([scale, scale], p=1, axes=[axis]), data), data, atol=1e-4)


@pytest.mark.parametrize("size", [(40, 70, 33), (1, 5, 64)])
@pytest.mark.parametrize("scale", [0.5, 0.73, 0.99])
def test_low_resolution_is_an_interpolated_coarse_volume(size, scale):
    data = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32))
    coarse = separable.linear(data, [max(1, round(n * scale)) for n in size])
    expected = torch.nn.functional.interpolate(coarse[None], size, mode="trilinear")[0, 0]
    assert np.allclose(changed(RandomLowResolution([scale, scale], p=1), data[0]), expected, atol=5e-5)


def test_lower_resolution_leaves_less_noise():
    data = noise().image.data[0]
    left = [changed(RandomLowResolution([scale, scale], p=1), data).std() for scale in (0.2, 0.4, 0.8, 1)]
    assert left == sorted(left)
    assert left[0] < 0.1
    assert np.array_equal(changed(RandomLowResolution([1, 1], p=1), data), data)


@given(low=st.floats(0.01, 10), ratio=st.floats(1, 10), seed=st.integers(0, 99))
def test_random_numbers_stay_in_their_range(low, ratio, seed):
    with random_state(seed):
        for sample in (uniform, log_uniform):
            assert low * (1 - 1e-6) <= sample(low, low * ratio) <= low * ratio * (1 + 1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RandomNoise([0.2, 0.1], p=1), r"deviation must be .* in rising order, got \[0.2, 0.1\]"),
        (lambda: RandomNoise([-0.1, 0.1], p=1), "each a number of at least 0 in"),
        (lambda: RandomBrightness([0, 1], p=1), r"factor must be .* of at least 0.01 .* got \[0, 1\]"),
        (lambda: RandomContrast([0.5], p=1), r"factor must be a list of 2, .* got \[0.5\]"),
        (lambda: RandomGamma([0, 1], inverted=True, p=1), r"gamma must be .* of at least 0.01 .* got \[0, 1\]"),
        (lambda: RandomBlur([float("nan"), 1], p=1), r"sigma must be .* got \[nan, 1\]"),
        (lambda: RandomLowResolution([0.5, 2], p=1), r"scale must be .* from 0.01 to 1 .* got \[0.5, 2\]"),
        (lambda: RandomLowResolution([0.5, 1], p=1, axes=[3]), r"axes is \[3\]; give one or more of 0, 1 and 2"),
        (lambda: RandomLowResolution([0.5, 1], p=1, axes=[]), r"axes is \[\]"),
    ],
)
def test_an_invalid_range_is_refused(build, message):
    with pytest.raises(UserError, match=message):
        build()


def test_a_composition_does_not_change_its_input():
    before, same = noise(), noise()
    tio.Compose(SUITE, copy=False)(before)
    assert torch.equal(before.image.data, same.image.data)
