import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from segment.inference.confidence.body import OF_CT, measure_body
from segment.io.scan import Scan, geometry_header

AFFINE = np.diag([4.0, 4, 5, 1])


def scan(noise=0.0, offset=0):
    """A body of 240×160 mm with a spine at the back and lungs in the upper half, 100 mm high."""
    hu = np.full((90, 60, 20), -1000.0)
    hu[15:75, 10:50] = -100
    hu[20:70, 14:46] = 50
    hu[42:48, 14:20] = 600
    hu[25:40, 22:40, 10:] = -850
    hu = hu + np.random.default_rng(0).normal(0, 1, hu.shape) * noise + offset
    data = hu.astype(np.int16)
    return Scan(data, AFFINE, geometry_header(data.shape, AFFINE), data.shape)


def test_a_body_is_measured():
    body = measure_body(scan(noise=10))
    assert set(body) == {*OF_CT}
    assert body["fat_hu"] == pytest.approx(-100, abs=6)
    assert body["soft_hu"] == pytest.approx(50, abs=6)
    assert body["noise_hu"] == pytest.approx(10, rel=0.15)
    assert (body["width_mm"], body["depth_mm"]) == (pytest.approx(236, abs=8), pytest.approx(156, abs=8))
    assert body["area_cm2"] == pytest.approx(384 * (1 - 270 / 2400), rel=0.1)
    assert (body["height_mm"], body["thickness_mm"]) == (100, 5)
    assert body["bone_back_mm"] > 40
    assert body["gas_up_mm"] > 15


def test_thick_coronal_slices_may_lean():
    """From slice to slice they rise by more than from row to row."""
    upright = scan()
    lean = np.eye(4)
    lean[:3, :3] = Rotation.from_euler("x", 15, degrees=True).as_matrix()
    data, affine = upright.data[:, ::6], lean @ AFFINE @ np.diag([1, 6, 1, 1])
    body = measure_body(Scan(data, affine, geometry_header(data.shape, affine), data.shape))
    assert body["height_mm"] == pytest.approx(100 * np.cos(np.radians(15)))


def test_faults_show():
    assert measure_body(scan(noise=60))["noise_hu"] > 40
    assert measure_body(scan(noise=5, offset=60))["soft_hu"] == pytest.approx(110, abs=6)


def test_a_scan_without_a_body_has_no_measurements():
    data = np.full((20, 20, 20), -1000, np.int16)
    body = measure_body(Scan(data, AFFINE, geometry_header(data.shape, AFFINE), data.shape))
    assert np.isnan([body[name] for name in OF_CT if name not in ("height_mm", "thickness_mm")]).all()
