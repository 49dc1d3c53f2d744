import base64
import zlib

import numpy as np
import pytest
from viewed import ORGANS, viewed_scan

from segment.view.page.meshes import organ_triangles, pack_integers, pack_meshes
from segment.view.page.scan import Blobs
from segment.view.scene import make_scene
from segment.view.surface import build_surface


@pytest.fixture(scope="module")
def scene():
    scan, mask, _ = viewed_scan()
    return make_scene(scan.data, mask, None, scan.affine, ORGANS, (-160, 240))


@pytest.fixture(scope="module")
def surface(scene):
    return build_surface(scene.pred, scene.spacing_mm, len(ORGANS), points_across=100)


def volume(points, faces):
    """Volume inside closed triangles in mm³; negative if their fronts are inside."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def test_triangles_enclose_the_organ_and_show_their_front_to_the_outside(surface):
    points, faces = organ_triangles(surface, 0, 10**6)
    assert volume(points, faces) == pytest.approx(32 * 32 * 50, rel=0.08)  # blurring rounds the edges
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    expected = (surface.points[surface.organ == 0].max(axis=0) + surface.points[surface.organ == 0].min(axis=0)) / 2
    assert middle == pytest.approx(expected, abs=0.5)


def test_coarser_triangles_keep_the_shape(surface):
    few, many = (organ_triangles(surface, 0, limit) for limit in (1500, 10**6))
    assert len(few[1]) <= 1500 < len(many[1])
    assert volume(*few) == pytest.approx(volume(*many), rel=0.05)


def test_the_entry_locates_the_organs_in_the_scan(scene, surface):
    blobs = Blobs()
    entry = pack_meshes(surface, scene.spacing_mm, blobs)
    # The liver goes from the 4th to the 20th column from the right, the spleen from the 36th to the 42nd.
    assert entry["half_mm"][0] == pytest.approx((84 - 8) / 2, abs=1.5)
    assert entry["middle_mm"][0] == pytest.approx((84 + 8) / 2, abs=0.1)
    assert entry["translucent"] == 0
    for mesh in entry["meshes"]:
        places = unpacked(blobs.texts[mesh["places"]], 3 * mesh["points"]).reshape(3, -1)
        corners = unpacked(blobs.texts[mesh["corners"]], 3 * mesh["triangles"])
        assert corners.max() == mesh["points"] - 1
        assert corners.min() == 0
        places_mm = np.array(entry["low_mm"])[:, None] + entry["step_mm"] * places
        assert (np.abs(places_mm) < np.array(entry["half_mm"])[:, None] + 1).all()


def test_an_absent_organ_has_no_triangles_and_a_single_one_is_opaque(scene):
    alone = build_surface(np.where(scene.pred == 2, scene.pred, 0), scene.spacing_mm, 2, points_across=100)
    entry = pack_meshes(alone, scene.spacing_mm, Blobs())
    assert [mesh is None for mesh in entry["meshes"]] == [True, False]
    assert entry["translucent"] is None


def test_noise_does_not_make_a_page_large(scene):
    noise = (np.random.default_rng(0).random((60, 60, 60)) < 0.3).astype(np.uint8)
    surface = build_surface(noise, (1.0, 1.0, 1.0), 1, points_across=100)
    _, faces = organ_triangles(surface, 0, 20_000)
    assert len(faces) < 25_000


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_a_thin_organ_is_not_lost(thickness):
    sheet = np.zeros((150, 150, 12), np.uint8)
    sheet[5:145, 5:145, 5 : 5 + thickness] = 1
    surface = build_surface(sheet, (1.0, 1.0, 1.0), 1, points_across=100)
    points, faces = organ_triangles(surface, 0, 2000)
    assert len(faces) > 100
    assert np.ptp(points, axis=0)[[0, 2]] == pytest.approx([140, 140], abs=12)


def unpacked(text, count):
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(4, count)
    codes = np.ascontiguousarray(planes.T).view("<u4")[:, 0].astype(np.int64)
    return np.cumsum(np.where(codes % 2, -(codes + 1) // 2, codes // 2))


@pytest.mark.parametrize("values", [[0, 3, -70_000, 2**30], [5], []])
def test_integers_are_packed_without_loss(values):
    assert unpacked(pack_integers(np.array(values, np.int64)), len(values)).tolist() == values
