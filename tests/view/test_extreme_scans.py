import itertools
import resource
import sys

import numpy as np
import pytest
from PIL import Image

from segment.doctor.thumbnail import render_thumbnail
from segment.view import overlay
from segment.view.overlay import write_overlay
from segment.view.surface import build_surface
from segment.view.video import write_video

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
SHAPES = [(1, 1, 1), (1, 12, 9), (12, 9, 1), (12, 10, 8)]
SPACINGS = [(3000, 3000, 3000), (1e6, 1e6, 1e6), (0.1, 0.1, 3000), (1e-3, 1, 1e3)]


def mask_of(shape, which):
    mask = np.zeros(shape, np.uint8)
    if which == "one voxel":
        mask[tuple(n // 2 for n in shape)] = 2
    if which == "noise":
        mask[:] = np.random.default_rng(1).integers(0, 5, shape)
    return mask


@pytest.mark.parametrize("which", ["no organ", "one voxel", "noise"])
@pytest.mark.parametrize(("shape", "spacing_mm"), list(itertools.product(SHAPES, SPACINGS)))
def test_pictures_of_extreme_scans_need_bounded_memory(tmp_path, shape, spacing_mm, which):
    ct = np.random.default_rng(0).normal(0, 200, shape).astype(np.int16)
    mask, affine = mask_of(shape, which), np.diag([*spacing_mm, 1.0])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert render_thumbnail(ct, mask, affine, ORGANS)
    write_overlay(tmp_path / "a.png", ct, mask, affine, ORGANS, reference=mask)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 5e8


@pytest.mark.parametrize("spacing_mm", [(3000.0, 3000.0, 3000.0), (0.1, 0.1, 3000.0), (3000.0, 0.1, 0.1)])
def test_the_grids_of_surfaces_are_bounded(spacing_mm):
    surface = build_surface(mask_of((5, 5, 5), "one voxel"), spacing_mm, 4, 100)
    assert surface is not None
    assert surface.fields[0].size < 5_000_000
    assert np.isfinite(surface.points).all()
    assert len(surface.points)


def test_a_video_of_an_extreme_scan_is_written(tmp_path):
    mask = mask_of((12, 10, 8), "one voxel")
    affine = np.diag([0.1, 0.1, 3000, 1])
    write_video(tmp_path / "a.mp4", mask.astype(np.int16), mask, affine, ORGANS, fps=2, seconds=2)
    assert (tmp_path / "a.mp4").stat().st_size


def test_the_page_of_many_organs_is_limited_to_what_agg_can_render(tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "_MAX_PX", 1000)  # stands for 60,000 with a hundred organs
    mask = (np.arange(1000).reshape(10, 10, 10) % 13).astype(np.uint8)
    write_overlay(tmp_path / "a.png", mask.astype(np.int16), mask, np.eye(4), [f"organ {n}" for n in range(12)])
    with Image.open(tmp_path / "a.png") as page:
        assert page.height <= 1001
