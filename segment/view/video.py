"""One video per case: the scan slice by slice with its contours beside the organs' surfaces, which grow, then turn."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segment.view.colors import Color, organ_colors
from segment.view.encode import encode
from segment.view.frame import PANEL, Frame
from segment.view.scene import Scene, make_scene, plane
from segment.view.stage import Stage
from segment.view.surface import Surface, build_surface

_GROWING = 0.6  # share of the longest video that shows the slices; the turn takes the rest
_CONTOUR = 2  # pixels; a single one is washed out by the video's colour subsampling


def write_video(
    path: Path,
    ct: np.ndarray,
    pred: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    *,
    window_hu: tuple[float, float] = (-160, 240),
    fps: int = 12,
    max_seconds: float = 10.0,
) -> None:
    """Write an MP4: axial slices from feet to head on the left, the organs growing to that slice on the right.

    After the last slice the complete organs turn once about the body's axis, beside the slice that shows most of
    them. The patient's right is on the left of the picture, in both panels. Without any organ the video ends with the
    slices and says so.

    Args:
        path: The video, `.mp4`; it appears whole or not at all.
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        window_hu: The HU shown black and white; the default is a usual window for abdominal soft tissue.
        fps: Frames a second.
        max_seconds: Slices are left out evenly in scans that would take longer.

    Raises:
        ValueError: On differing shapes, classes without a name, or a video too short for a frame of each part.
        RuntimeError: When ffmpeg fails.
    """
    slices, turns = round(_GROWING * max_seconds * fps), round((1 - _GROWING) * max_seconds * fps)
    if min(slices, turns) < 1:
        msg = f"fps * max_seconds must leave frames for slices and turn, got {fps} * {max_seconds}"
        raise ValueError(msg)
    scene = make_scene(ct, pred, None, affine, organs, window_hu)
    colors = organ_colors(organs)
    frame = Frame(_legend(scene, organs), colors)
    surface = build_surface(scene.pred, scene.spacing_mm, len(organs), points_across=0.4 * PANEL)
    encode(path, _frames(scene, surface, colors, frame, slices, turns), frame.size, fps)


def _legend(scene: Scene, organs: Sequence[str]) -> list[str]:
    """Each organ's name and volume."""
    entries = []
    for index, organ in enumerate(organs, start=1):
        # Not np.bincount for all at once, which makes eight bytes of each voxel's one.
        volume_ml = np.count_nonzero(scene.pred == index) * scene.voxel_ml
        volume = f"{volume_ml:.{0 if volume_ml >= 10 else 2}f} mL" if volume_ml else "not found"
        entries.append(f"{organ.replace('_', ' ')} {volume}")
    return entries


def _frames(
    scene: Scene, surface: Surface | None, colors: Sequence[Color], frame: Frame, slices: int, turns: int
) -> Iterator[np.ndarray]:
    """All frames in order."""
    depth = scene.ct.shape[2]
    stage = None if surface is None else Stage(surface, colors, PANEL)
    for index in np.linspace(depth - 1, 0, min(depth, slices)).round().astype(int).tolist():
        caption = _slice_caption(scene, index)
        picture = slice_picture(scene, index, colors)
        if stage is None or surface is None:
            yield frame.drawn(caption, picture, None)
        else:
            height_mm = surface.middle_mm[2] - index * scene.spacing_mm[2]
            yield frame.drawn(caption, picture, stage.grown_to(height_mm), stage=stage)
    if stage is None:
        return
    fullest = int(np.argmax(np.count_nonzero(scene.pred, axis=(0, 1))))
    caption, picture = _slice_caption(scene, fullest), slice_picture(scene, fullest, colors)
    for step in range(1, turns + 1):
        angle = 2 * np.pi * step / turns
        yield frame.drawn(caption, picture, stage.turned_by(angle), stage=stage, angle=angle)


def _slice_caption(scene: Scene, index: int) -> str:
    depth = scene.ct.shape[2]
    return f"axial slice {depth - index} of {depth}    S {scene.position_mm(2, index):+z.0f} mm"


def slice_picture(scene: Scene, index: int, colors: Sequence[Color]) -> np.ndarray:
    """An axial slice in true proportions with its contours, RGB (PANEL, PANEL, 3), black around it."""
    width, height = (n * edge for n, edge in zip(scene.ct.shape[:2], scene.spacing_mm[:2], strict=True))
    scale = PANEL / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    gray = Image.fromarray(scene.gray(2, index)).resize(size, Image.Resampling.BILINEAR)
    mask = plane(scene.pred, 2, index).astype(np.uint8)
    edges = _edges(np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)))
    table = np.array([(0, 0, 0), *colors]) * 255
    picture = np.where(edges[..., None] > 0, table.round().astype(np.uint8)[edges], np.asarray(gray)[..., None])
    panel = np.zeros((PANEL, PANEL, 3), np.uint8)
    top, left = (PANEL - size[1]) // 2, (PANEL - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = picture
    return panel


def _edges(mask: np.ndarray) -> np.ndarray:
    """The classes of a mask (rows, columns) on its inner borders, `_CONTOUR` wide, and 0 elsewhere."""
    rows, columns = mask.shape
    padded = np.pad(mask, _CONTOUR)
    inner = np.ones(mask.shape, bool)
    for shift in range(1, _CONTOUR + 1):
        for down, right in ((shift, 0), (-shift, 0), (0, shift), (0, -shift)):
            top, left = _CONTOUR + down, _CONTOUR + right
            inner &= padded[top : top + rows, left : left + columns] == mask
    return np.where(inner, 0, mask)
