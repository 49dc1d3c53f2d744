from collections import Counter

import numpy as np
import pytest

from segment.phantom.scanner import PADDING_HU, form_image
from segment.phantom.tissues import HIGHEST_HU, LOWEST_HU

SHAPE = (24, 24, 6)


@pytest.fixture(scope="module")
def scans():
    """Scans of a square of water, as wide as a body, in air."""
    hu = np.full(SHAPE, -1000, np.float32)
    hu[6:18, 6:18] = 0
    mm = np.array((25.0, 25.0, 5.0))
    return [form_image(hu.copy(), hu == 0, mm, np.random.default_rng(seed)) for seed in range(200)]


def test_a_quarter_of_the_scans_shows_a_circle_in_padding(scans):
    i, j = np.linspace(-1, 1, SHAPE[0])[:, None], np.linspace(-1, 1, SHAPE[1])
    paddings = Counter()
    for scan in scans:
        measured = np.broadcast_to(scan.measured, SHAPE)
        if not measured.all():
            assert measured[np.hypot(i, j) < 0.96].all()
            assert not measured[np.hypot(i, j) > 1.03].any()
            (padding,) = np.unique(scan.hu[~measured])
            paddings[int(padding)] += 1
    assert sum(paddings.values()) / len(scans) == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / len(scans)) ** 0.5)
    assert paddings.keys() == PADDING_HU.keys()


def test_what_is_measured_has_hu_of_scanners(scans):
    for scan in scans:
        measured = scan.hu[np.broadcast_to(scan.measured, SHAPE)]
        assert scan.hu.dtype == np.int16
        assert measured.min() >= LOWEST_HU
        assert measured.max() <= HIGHEST_HU
    water = [scan.hu[9:15, 9:15] for scan in scans]
    assert np.mean(water) == pytest.approx(0, abs=3)
    noise = np.array([values.std() for values in water])
    assert np.quantile(noise, 0.05) < 8  # from a thick, smooth slice
    assert np.quantile(noise, 0.95) > 20  # to a thin one of a screening dose


def test_metal_casts_streaks_in_its_own_slices():
    hu = np.zeros(SHAPE, np.float32)
    hu[12, 12, 3] = 3000
    spread = []
    for seed in range(20):
        image = form_image(hu.copy(), hu == 0, np.full(3, 5.0), np.random.default_rng(seed)).hu.astype(float)
        ring = np.hypot(*np.ogrid[-12:12, -12:12])
        near = (ring > 3) & (ring < 8)
        spread.append(image[near][:, 3].std() / image[near][:, 0].std())
    assert np.median(spread) > 1.1
