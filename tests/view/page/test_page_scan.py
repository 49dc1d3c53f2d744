import numpy as np
import pytest
from viewed import ORGANS, viewed_scan

from segment.view.page import scan as page_scan
from segment.view.page.scan import Blobs, pack_scan


def packed(affine=None, codes="RAS"):
    scan, mask, _ = viewed_scan(affine, codes)
    return pack_scan(scan.data, mask, scan.affine, ORGANS, Blobs())[1]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL", "ILA"])
def test_the_same_scan_in_another_order_of_axes_gives_the_same_page(codes):
    entry, expected = packed(codes=codes), packed()
    assert entry["letters"] == expected["letters"] == [["R", "L"], ["A", "P"], ["S", "I"]]
    assert np.allclose(entry["affine"], expected["affine"])
    assert {key: entry[key] for key in ("shape", "spacing_mm")} == {
        key: expected[key] for key in ("shape", "spacing_mm")
    }


def turned(degrees):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ np.diag([2.0, 2.0, 5.0, 1.0])


def test_an_oblique_scan_names_both_sides_and_keeps_its_spacing():
    entry = packed(turned(30))
    assert entry["letters"][0] == ["RA", "LP"]
    assert entry["letters"][2] == ["S", "I"]
    assert entry["spacing_mm"] == pytest.approx([2, 2, 5])
    assert not any("perpendicular" in note for note in entry["notes"])


def test_a_gantry_tilt_is_mentioned():
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[1, 2] = 1.5
    assert any("not perpendicular" in note for note in packed(affine)["notes"])


def test_a_large_scan_is_reduced_until_it_fits_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(page_scan, "MAX_CASE_BYTES", 20_000)
    noise = np.random.default_rng(0).normal(0, 100, (64, 64, 16)).astype(np.int16)
    blobs = Blobs()
    _, entry = pack_scan(noise, np.zeros(noise.shape, np.uint8), np.diag([1.0, 1.0, 3.0, 1.0]), ORGANS, blobs)
    assert blobs.size <= 20_000
    assert any("reduced from 64x64x16 to " in note for note in entry["notes"])
    assert np.allclose(np.array(entry["shape"]) * entry["spacing_mm"], [64, 64, 48])
