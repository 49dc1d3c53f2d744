import gc
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from segment.view import encode as encoding
from segment.view.colors import organ_colors
from segment.view.encode import encode
from segment.view.frame import PANEL
from segment.view.scene import make_scene
from segment.view.stage import Stage
from segment.view.surface import build_surface
from segment.view.video import slice_picture, write_video

ORGANS = ["right_organ", "left_organ"]
COLORS = organ_colors(ORGANS)

# imageio's reader leaves its pipes to ffmpeg to the garbage collector; ours, the writer, is not excused: it is
# tested without the reader below.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def video(path: Path, case, organs=ORGANS, max_seconds=1.0) -> np.ndarray:
    ct, mask, affine = case
    write_video(path, ct, mask, affine, organs, fps=10, max_seconds=max_seconds)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left
    frames = iio.imread(path).astype(int)  # (frames, rows, columns, 3)
    gc.collect()  # imageio's pipes, see above
    return frames


def scene_and_stage(case, size=96):
    scene = make_scene(case[0], case[1], None, case[2], ORGANS, (-160, 240))
    surface = build_surface(scene.pred, scene.spacing_mm, 2, points_across=0.8 * size)
    assert surface is not None
    return scene, surface, Stage(surface, COLORS, size)


def columns_of(image: np.ndarray, organ: int) -> np.ndarray:
    """Columns where an RGBA picture is nearer in hue to an organ's colour than to the other's."""
    solid = image[..., 3] > 200
    hue = image[..., :3] / np.maximum(image[..., :3].sum(axis=2, keepdims=True), 1)
    goals = [np.array(color) / sum(color) for color in COLORS]
    away = [np.abs(hue - goal).sum(axis=2) for goal in goals]
    return np.nonzero(solid & (away[organ] < away[1 - organ]))[1]


@pytest.mark.filterwarnings("error")
def test_the_writer_closes_its_pipes(tmp_path):
    encode(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, (64, 64), 10)
    gc.collect()


@pytest.mark.parametrize("axes", ["LPS", "PIR", "SRA"])
def test_the_film_is_the_same_however_the_scan_is_stored(tmp_path, stored, axes):
    upright = video(tmp_path / "a" / "organs.mp4", stored("RAS"))
    np.testing.assert_array_equal(video(tmp_path / "b" / "organs.mp4", stored(axes)), upright)


def test_a_film_has_slices_and_a_turn_of_even_size(tmp_path, stored):
    frames = video(tmp_path / "organs.mp4", stored("LAS"), max_seconds=4)
    assert len(frames) == 16 + 16  # every slice, for there are fewer than 24, and two fifths of 40 frames
    assert frames.shape[2] == 2 * PANEL
    assert frames.shape[1] % 2 == 0
    meta = iio.immeta(tmp_path / "organs.mp4")
    gc.collect()
    assert (meta["codec"], meta["pix_fmt"].split("(")[0], meta["fps"]) == ("h264", "yuv420p", 10)


def test_slices_are_left_out_of_long_scans(tmp_path, stored):
    assert len(video(tmp_path / "organs.mp4", stored("LAS"), max_seconds=1)) == 6 + 4


def test_without_organs_the_film_ends_with_the_slices(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    frames = video(tmp_path / "organs.mp4", (ct, mask * 0, affine), max_seconds=4)
    assert len(frames) == 16
    words = frames[:, 34 : 34 + PANEL, PANEL:]
    assert (words.max(axis=(1, 2, 3)) > 90).all()  # lighter than the ground, which ends at 46


def test_one_voxel_and_many_organs(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    mask = mask * 0
    mask[0, 0, 0] = 17
    video(tmp_path / "organs.mp4", (ct, mask, affine), organs=[f"organ_{n}" for n in range(20)])


def test_the_patients_right_is_on_the_left_of_both_panels(stored):
    scene, surface, stage = scene_and_stage(stored("SRA"))
    low = slice_picture(scene, 15 - 4, COLORS)  # slices count from the head here
    colored = np.ptp(low.astype(int), axis=2) > 60
    assert np.nonzero(colored)[1].max() < PANEL / 2
    assert np.nonzero(colored)[0].mean() < PANEL / 2  # and in front
    whole = stage.grown_to(surface.half_height_mm + 1)
    assert columns_of(whole, 0).max() < 48 < columns_of(whole, 1).min()
    behind = stage.turned_by(np.pi)
    assert columns_of(behind, 1).max() < 48 < columns_of(behind, 0).min()


def test_organs_grow_from_the_feet_and_the_turn_ends_where_it_began(stored):
    _, surface, stage = scene_and_stage(stored("RAS"))
    top = surface.half_height_mm + 1
    covered = [int((stage.grown_to(height)[..., 3] > 0).sum()) for height in np.linspace(-top, top, 9)]
    assert covered[0] == 0
    assert covered == sorted(covered)
    assert covered[3] > 0
    complete = stage.grown_to(top)[..., 3].astype(int)
    turned = stage.turned_by(2 * np.pi)[..., 3].astype(int)
    assert (np.abs(complete - turned) > 128).mean() < 0.002


def test_half_grown_organs_are_closed_by_their_cut(stored):
    _, surface, stage = scene_and_stage(stored("RAS"))
    height = float(surface.points[surface.organ == 0, 1].mean())
    image = stage.grown_to(height)
    middle = surface.points[surface.organ == 0].mean(axis=0)
    column, row, _ = stage.place((middle[0], height, middle[2]))
    pale = 255 * (0.6 * np.array(COLORS[0]) + 0.4)
    assert image[round(row), round(column), :3] == pytest.approx(pale, abs=3)


def test_the_surface_lies_where_the_mask_does(stored):
    _, surface, _ = scene_and_stage(stored("RAS"))
    box = surface.points[surface.organ == 0]
    # 10 × 2 mm wide, 5 × 5 mm high, 6 × 3 mm deep; blurring rounds the ends a little.
    assert np.ptp(box, axis=0) == pytest.approx([20, 25, 18], abs=2.5)
    away = box - box.mean(axis=0)
    assert ((away * surface.normals[surface.organ == 0]).sum(axis=1) > 0).mean() > 0.99


def test_slices_keep_their_proportions(stored):
    ct, mask, affine = stored("RAS")
    scene = make_scene(ct * 0 + 500, mask * 0, None, affine, ORGANS, (-160, 240))
    white = slice_picture(scene, 0, COLORS)[..., 0] == 255
    assert np.ptp(np.nonzero(white), axis=1).tolist() == [round(PANEL * 72 / 80) - 1, PANEL - 1]


def test_ffmpegs_failure_is_raised_with_its_words_and_leaves_nothing(tmp_path):
    odd = np.zeros((63, 63, 3), np.uint8)
    with pytest.raises(RuntimeError, match=r"ffmpeg could not write a\.mp4 .*not divisible by 2"):
        encode(tmp_path / "a.mp4", [odd] * 500, (63, 63), 10)
    assert not list(tmp_path.iterdir())


def test_a_frame_that_fails_leaves_the_older_film(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(ValueError, match=r"a frame must be uint8 \(64, 64, 3\)"):
        encode(path, [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 62, 3), np.uint8)], (64, 64), 10)
    monkeypatch.setattr(encoding.imageio_ffmpeg, "get_ffmpeg_exe", lambda: "false")
    with pytest.raises(RuntimeError, match="exit code 1"):
        encode(path, [np.zeros((64, 64, 3), np.uint8)] * 500, (64, 64), 10)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_time_is_refused(tmp_path, stored):
    with pytest.raises(ValueError, match="must leave frames"):
        video(tmp_path / "organs.mp4", stored("RAS"), max_seconds=0.1)
