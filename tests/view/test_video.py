import gc
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from segment.view import encode as encoding
from segment.view.colors import organ_colors
from segment.view.encode import encode
from segment.view.frame import _HEADER as HEADER
from segment.view.frame import PANEL, Frame
from segment.view.overlap import OrganOverlap
from segment.view.panel import border_letters
from segment.view.renderer import Renderer
from segment.view.scene import make_scene
from segment.view.surface import build_surface
from segment.view.video import _legend, _note, slice_picture, write_video

ORGANS = ["right_organ", "left_organ"]
COLORS = organ_colors(ORGANS)

# imageio's reader leaves its pipes to ffmpeg to the garbage collector. `test_the_writer_closes_its_pipes` checks our
# writer without the reader.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


def video(path: Path, case, organs=ORGANS, seconds=1.0) -> np.ndarray:
    ct, mask, affine = case
    write_video(path, ct, mask, affine, organs, fps=10, seconds=seconds)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left
    frames = iio.imread(path).astype(np.int16)  # (frames, rows, columns, 3)
    gc.collect()  # imageio's pipes, see above
    return frames


def scene_and_renderer(case, size=96):
    scene = make_scene(case[0], case[1], None, case[2], ORGANS, (-160, 240))
    surface = build_surface(scene.pred, scene.spacing_mm, 2, points_across=0.8 * size)
    assert surface is not None
    return scene, surface, Renderer(surface, COLORS, size)


def columns_of(image: np.ndarray, organ: int) -> np.ndarray:
    """Columns of the pixels of an RGBA picture whose hue is nearer to an organ's colour than to the other's."""
    solid = image[..., 3] > 200
    hue = image[..., :3] / np.maximum(image[..., :3].sum(axis=2, keepdims=True), 1)
    targets = [np.array(color) / sum(color) for color in COLORS]
    distances = [np.abs(hue - target).sum(axis=2) for target in targets]
    return np.nonzero(solid & (distances[organ] < distances[1 - organ]))[1]


@pytest.mark.filterwarnings("error")
def test_the_writer_closes_its_pipes(tmp_path):
    encode(tmp_path / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3, (64, 64), 10)
    gc.collect()


@pytest.mark.parametrize("axes", ["LPS", "PIR", "SRA"])
def test_the_video_does_not_depend_on_the_stored_orientation(tmp_path, stored, axes):
    upright = video(tmp_path / "a" / "organs.mp4", stored("RAS"))
    np.testing.assert_array_equal(video(tmp_path / "b" / "organs.mp4", stored(axes)), upright)


def test_a_video_has_slices_then_a_rotation_and_even_sizes(tmp_path, stored):
    frames = video(tmp_path / "organs.mp4", stored("LAS"), seconds=4)
    assert len(frames) == 24 + 16  # three fifths of 40 frames, and the rest
    assert np.abs(frames[24:, HEADER : HEADER + PANEL, :PANEL] - frames[23, HEADER : HEADER + PANEL, :PANEL]).max() > 60
    assert frames.shape[2] == 2 * PANEL
    assert frames.shape[1] % 2 == 0
    meta = iio.immeta(tmp_path / "organs.mp4")
    gc.collect()
    assert (meta["codec"], meta["pix_fmt"].split("(")[0], meta["fps"]) == ("h264", "yuv420p", 10)


@pytest.mark.parametrize("depth", [1, 3, 200])
def test_the_duration_does_not_depend_on_the_number_of_slices(tmp_path, depth):
    mask = np.zeros((20, 20, depth), np.uint8)
    mask[5:15, 5:15] = 1
    assert len(video(tmp_path / "organs.mp4", (mask * 50, mask, np.eye(4)), ["organ"])) == 6 + 4


def test_without_organs_the_video_ends_after_the_slices(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    frames = video(tmp_path / "organs.mp4", (ct, mask * 0, affine), seconds=4)
    assert len(frames) == 24
    right = frames[:, HEADER : HEADER + PANEL, PANEL:]
    assert (right.max(axis=(1, 2, 3)) > 90).all()  # there is text: the background is at most 46


def test_one_voxel_and_many_organs(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    mask = mask * 0
    mask[0, 0, 0] = 17
    video(tmp_path / "organs.mp4", (ct, mask, affine), organs=[f"organ_{n}" for n in range(20)])


def test_the_patients_right_is_on_the_left_of_both_panels(stored):
    scene, surface, renderer = scene_and_renderer(stored("SRA"))
    low = slice_picture(scene, 15 - 4, COLORS)  # slices of a scene count from the head
    colored = np.ptp(low.astype(int), axis=2) > 60
    assert np.nonzero(colored)[1].max() < PANEL / 2
    assert np.nonzero(colored)[0].mean() < PANEL / 2  # anterior
    complete = renderer.render_up_to(surface.half_height_mm + 1)
    assert columns_of(complete, 0).max() < 48 < columns_of(complete, 1).min()
    behind = renderer.render_rotated(np.pi)
    assert columns_of(behind, 1).max() < 48 < columns_of(behind, 0).min()


def test_organs_grow_from_the_feet_and_a_full_rotation_restores_the_picture(stored):
    _, surface, renderer = scene_and_renderer(stored("RAS"))
    top = surface.half_height_mm + 1
    covered = [int((renderer.render_up_to(height)[..., 3] > 0).sum()) for height in np.linspace(-top, top, 9)]
    assert covered[0] == 0
    assert covered == sorted(covered)
    assert covered[3] > 0
    complete = renderer.render_up_to(top)[..., 3].astype(int)
    rotated = renderer.render_rotated(2 * np.pi)[..., 3].astype(int)
    assert (np.abs(complete - rotated) > 128).mean() < 0.002


def test_the_cut_closes_organs_that_are_shown_in_part(stored):
    _, surface, renderer = scene_and_renderer(stored("RAS"))
    height = float(surface.points[surface.organ == 0, 1].mean())
    image = renderer.render_up_to(height)
    middle = surface.points[surface.organ == 0].mean(axis=0)
    column, row, _ = renderer.project((middle[0], height, middle[2]))
    pale = 255 * (0.6 * np.array(COLORS[0]) + 0.4)
    assert image[round(row), round(column), :3] == pytest.approx(pale, abs=3)


def test_the_surface_matches_the_mask(stored):
    _, surface, _ = scene_and_renderer(stored("RAS"))
    points = surface.points[surface.organ == 0]
    # 10 × 2 mm wide, 5 × 5 mm high, 6 × 3 mm deep; blurring rounds the ends a little.
    assert np.ptp(points, axis=0) == pytest.approx([20, 25, 18], abs=2.5)
    outwards = points - points.mean(axis=0)
    assert ((outwards * surface.normals[surface.organ == 0]).sum(axis=1) > 0).mean() > 0.99


def test_slices_keep_their_proportions(stored):
    ct, mask, affine = stored("RAS")
    scene = make_scene(ct * 0 + 500, mask * 0, None, affine, ORGANS, (-160, 240))
    white = slice_picture(scene, 0, COLORS)[..., 0] == 255
    assert np.ptp(np.nonzero(white), axis=1).tolist() == [round(PANEL * 72 / 80) - 1, PANEL - 1]


def test_an_error_of_ffmpeg_is_raised_with_its_message_and_leaves_no_file(tmp_path):
    odd = np.zeros((63, 63, 3), np.uint8)
    with pytest.raises(RuntimeError, match=r"ffmpeg could not write a\.mp4 .*not divisible by 2"):
        encode(tmp_path / "a.mp4", [odd] * 500, (63, 63), 10)
    assert not list(tmp_path.iterdir())


def test_an_error_leaves_an_older_video_unchanged(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(ValueError, match=r"a frame must be uint8 \(64, 64, 3\)"):
        encode(path, [np.zeros((64, 64, 3), np.uint8), np.zeros((64, 62, 3), np.uint8)], (64, 64), 10)
    monkeypatch.setattr(encoding.imageio_ffmpeg, "get_ffmpeg_exe", lambda: "false")
    with pytest.raises(RuntimeError, match="exit code 1"):
        encode(path, [np.zeros((64, 64, 3), np.uint8)] * 500, (64, 64), 10)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_too_short_for_a_frame_is_refused(tmp_path, stored):
    with pytest.raises(ValueError, match="must leave frames"):
        video(tmp_path / "organs.mp4", stored("RAS"), seconds=0.1)


def overlaps(scene):
    return [OrganOverlap.of(scene, index) for index in (1, 2)]


def test_the_texts_state_dice_window_and_the_ends_that_cut_an_organ(stored):
    ct, mask, affine = stored("RAS")
    cut = np.where(mask == 1, 0, mask)
    cut[30:36, 4:8, :4] = 1  # on the left, down to the lower end
    alone = make_scene(ct, cut, None, affine, ORGANS, (-160, 240))
    assert _note(alone, overlaps(alone)) == "contours: prediction    window -160 to 240 HU"
    assert _legend(alone, ORGANS, overlaps(alone))[0] == "right organ 2.88 mL, cut by the lower end of the scan"
    both = make_scene(ct, cut, mask, affine, ORGANS, (-160, 240))
    text = "contours: prediction, and reference (white, dashed)    mean Dice 0.500    window -160 to 240 HU"
    assert _note(both, overlaps(both)) == text
    assert _legend(both, ORGANS, overlaps(both))[1].endswith("mL, Dice 1.000")
    empty = make_scene(ct, mask * 0, None, affine, ORGANS, (-160, 240))
    assert _legend(empty, ORGANS, overlaps(empty)) == ["right organ not found", "left organ not found"]


def test_an_organ_that_is_not_annotated_has_no_dice(stored):
    ct, mask, affine = stored("RAS")
    scene = make_scene(ct, mask, np.where(mask == 1, mask, 0), affine, ORGANS, (-160, 240))
    shown = [OrganOverlap.of(scene, index, [True, True, False]) for index in (1, 2)]
    assert [one.dice for one in shown] == [1.0, None]
    assert "mean Dice 1.000" in _note(scene, shown)


def test_the_reference_is_white_and_dashed(stored):
    ct, mask, affine = stored("RAS")
    scene = make_scene(ct * 0 - 200, mask * 0, mask, affine, ORGANS, (-160, 240))
    fullest = int(np.argmax(np.count_nonzero(scene.reference, axis=(0, 1))))
    white = (slice_picture(scene, fullest, COLORS) == 255).all(axis=2)
    rows, columns = np.nonzero(white)
    top = white[rows.min(), columns.min() : columns.max() + 1]
    assert 0.3 < top.mean() < 0.7
    assert np.diff(top.astype(int)).any()


def test_what_lies_behind_a_translucent_organ_is_seen_through_it():
    """A small organ behind a large one, seen from the front."""
    mask = np.zeros((60, 60, 60), np.uint8)
    mask[10:50, 10:30, 10:50] = 1  # axes point to L, P and I
    mask[25:35, 40:50, 25:35] = 2
    surface = build_surface(mask, (2.0, 2.0, 2.0), 2, points_across=200)
    assert surface.largest == 0
    column, row, _ = Renderer(surface, COLORS, 200).project((0.0, 0.0, -30.0))
    pixels = []
    for translucent in (None, surface.largest):
        renderer = Renderer(surface, COLORS, 200, translucent=translucent)
        for image in (renderer.render_up_to(surface.half_height_mm + 1), renderer.render_rotated(0.0)):
            pixels.append(image[round(row), round(column)].astype(int))
        behind = renderer.render_rotated(np.pi)  # now the small one is in front of the large one
        assert len(columns_of(behind, 1)) > 300
    opaque, clear = pixels[:2], pixels[2:]
    hue = [pixel[2] / pixel[:3].sum() for pixel in (*opaque, *clear)]  # the small organ is blue, the large one red
    assert max(hue[:2]) < 0.1 < 0.25 < min(hue[2:])
    corner = Renderer(surface, COLORS, 200, translucent=0).render_rotated(0.0)
    assert 100 < corner[round(row) - 40, round(column) - 40, 3] < 255  # only the large one is there


def test_titles_are_one_line_that_fits():
    for title in ("x" * 300, "a\nb\tc", "", "\u202e\u05e9\u05dc 🫁"):
        frame = Frame(title, "note", "RLAP", ["liver"], COLORS[:1])
        shown = frame._shortened(title, 500)
        assert frame._large.getlength(shown) <= 500
        assert "\n" not in shown


def test_the_turning_organs_are_a_small_animation_as_well(tmp_path, stored):
    ct, mask, affine = stored("RAS")
    gif = tmp_path / "turntable.gif"
    write_video(tmp_path / "a.mp4", ct, mask, affine, ORGANS, fps=10, seconds=2.0, turntable=gif)
    with Image.open(gif) as animation:
        assert (animation.size, animation.n_frames, animation.info["loop"]) == ((PANEL // 2, PANEL // 2), 4, 0)
        first = np.asarray(animation.convert("RGB")).astype(int)
        alpha = np.full((*first.shape[:2], 1), 255)
        shown = np.where(np.ptp(first, axis=2, keepdims=True) > 60, np.concatenate([first, alpha], axis=2), 0)
        assert min(len(columns_of(shown, organ)) for organ in (0, 1)) > 300  # the palette has the colours of both
        animation.seek(2)
        assert np.abs(np.asarray(animation.convert("RGB")) - first).max() > 60
    assert gif.stat().st_size < 200_000
    gif.unlink()
    write_video(tmp_path / "a.mp4", ct, mask * 0, affine, ORGANS, fps=10, seconds=1.0, turntable=gif)
    assert not gif.exists()


def test_an_oblique_scan_has_two_letters_at_its_sides(stored):
    ct, mask, affine = stored("RAS")
    angle = np.deg2rad(30)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scene = make_scene(ct, mask, None, turn @ affine, ORGANS, (-160, 240))
    assert border_letters(scene, 2) == ["RA", "LP", "AL", "PR"]  # the right end is turned to the front
    assert border_letters(make_scene(ct, mask, None, affine, ORGANS, (-160, 240)), 2) == list("RLAP")
