"""Pictures of the documentation stay small."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import gallery

from segment.view.turntable_gif import write_gif


def test_a_picture_is_no_wider_and_no_larger_than_allowed(tmp_path):
    blocks = np.random.default_rng(0).integers(0, 255, (90, 150, 3), np.uint8)
    picture = Image.fromarray(blocks).resize((2400, 1440), Image.Resampling.NEAREST)
    gallery._save(picture, tmp_path / "picture.jpg")
    assert (tmp_path / "picture.jpg").stat().st_size <= gallery.MAX_BYTES
    with Image.open(tmp_path / "picture.jpg") as saved:
        assert saved.size == (1200, 720)


def test_a_picture_that_cannot_be_small_is_refused(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1200, 1200, 3), np.uint8))
    with pytest.raises(ValueError, match="more than 300000 bytes"):
        gallery._save(noise, tmp_path / "noise.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_gif_is_made_small_enough_and_keeps_its_frames(tmp_path):
    rng = np.random.default_rng(0)
    write_gif(tmp_path / "large.gif", [rng.integers(0, 255, (320, 320, 3), np.uint8) for _ in range(6)])
    assert (tmp_path / "large.gif").stat().st_size > gallery.MAX_BYTES
    gallery._save_gif(tmp_path / "large.gif", tmp_path / "small.gif")
    assert (tmp_path / "small.gif").stat().st_size <= gallery.MAX_BYTES
    with Image.open(tmp_path / "small.gif") as saved:
        assert saved.n_frames == 6
        assert 160 <= saved.width < 320


def test_a_gif_that_cannot_be_small_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "MAX_BYTES", 9000)
    write_gif(tmp_path / "large.gif", [np.random.default_rng(0).integers(0, 255, (180, 180, 3), np.uint8)])
    with pytest.raises(ValueError, match="more than 9000 bytes"):
        gallery._save_gif(tmp_path / "large.gif", tmp_path / "small.gif")
    assert not (tmp_path / "small.gif").exists()
