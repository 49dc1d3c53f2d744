"""One video per case: the slices of the scan with contours, beside the organs in 3D."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segment.view.colors import Color, organ_colors
from segment.view.encode import encode
from segment.view.frame import PANEL, Frame
from segment.view.renderer import Renderer
from segment.view.scene import Scene, make_scene, plane
from segment.view.surface import build_surface

_SLICES_SHARE = 0.6  # share of the longest video that shows the slices; the rotation takes the rest
_CONTOUR = 2  # pixels; the video's colour subsampling would blur a single one


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
    """Write an MP4: axial slices from feet to head on the left, the organs up to that slice on the right.

    After the last slice, the complete organs rotate once about the body's axis, beside the slice that shows most of
    them. In both panels, the patient's right is on the left of the picture. If there is no organ, the right panel
    shows "no organ found" and the video ends after the slices.

    Args:
        path: The video, `.mp4`; after an error it is unchanged.
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        window_hu: The HU shown as black and as white; the default is a common window for abdominal soft tissue.
        fps: Frames per second.
        max_seconds: Longest duration; in a scan with more slices, some are left out at regular distances.

    Raises:
        ValueError: If shapes differ, a class has no name, or the video is too short for a frame of each part.
        RuntimeError: If ffmpeg fails.
    """
    slices, rotations = round(_SLICES_SHARE * max_seconds * fps), round((1 - _SLICES_SHARE) * max_seconds * fps)
    if min(slices, rotations) < 1:
        msg = f"fps * max_seconds must leave frames for the slices and the rotation, got {fps} * {max_seconds}"
        raise ValueError(msg)
    scene = make_scene(ct, pred, None, affine, organs, window_hu)
    colors = organ_colors(organs)
    frame = Frame(_legend(scene, organs), colors)
    surface = build_surface(scene.pred, scene.spacing_mm, len(organs), points_across=0.4 * PANEL)
    renderer = None if surface is None else Renderer(surface, colors, PANEL)
    encode(path, _frames(scene, renderer, colors, frame, slices, rotations), frame.size, fps)


def _legend(scene: Scene, organs: Sequence[str]) -> list[str]:
    """Each organ's name and volume."""
    entries = []
    for index, organ in enumerate(organs, start=1):
        # Not np.bincount, which needs eight bytes per voxel instead of one.
        volume_ml = np.count_nonzero(scene.pred == index) * scene.voxel_ml
        if not volume_ml:
            volume = "not found"
        elif volume_ml < 10:
            volume = f"{volume_ml:.2f} mL"
        else:
            volume = f"{volume_ml:.0f} mL"
        entries.append(f"{organ.replace('_', ' ')} {volume}")
    return entries


def _frames(
    scene: Scene, renderer: Renderer | None, colors: Sequence[Color], frame: Frame, slices: int, rotations: int
) -> Iterator[np.ndarray]:
    """All frames in order."""
    depth = scene.ct.shape[2]
    for index in np.linspace(depth - 1, 0, min(depth, slices)).round().astype(int).tolist():
        caption, picture = _slice_caption(scene, index), slice_picture(scene, index, colors)
        if renderer is None:
            yield frame.compose(caption, picture, None)
        else:
            height_mm = renderer.surface.middle_mm[2] - index * scene.spacing_mm[2]
            yield frame.compose(caption, picture, renderer.render_up_to(height_mm), renderer=renderer)
    if renderer is None:
        return
    fullest = int(np.argmax(np.count_nonzero(scene.pred, axis=(0, 1))))
    caption, picture = _slice_caption(scene, fullest), slice_picture(scene, fullest, colors)
    for step in range(1, rotations + 1):
        angle = 2 * np.pi * step / rotations
        yield frame.compose(caption, picture, renderer.render_rotated(angle), renderer=renderer, angle=angle)


def _slice_caption(scene: Scene, index: int) -> str:
    depth = scene.ct.shape[2]
    return f"axial slice {depth - index} of {depth}    S {scene.position_mm(2, index):+z.0f} mm"


def slice_picture(scene: Scene, index: int, colors: Sequence[Color]) -> np.ndarray:
    """An axial slice in true proportions with contours, padded with black, RGB (PANEL, PANEL, 3)."""
    width, height = (n * edge for n, edge in zip(scene.ct.shape[:2], scene.spacing_mm[:2], strict=True))
    scale = PANEL / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    gray = Image.fromarray(scene.gray(2, index)).resize(size, Image.Resampling.BILINEAR)
    mask = plane(scene.pred, 2, index).astype(np.uint8)
    edges = _edges(np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)))
    table = (np.array([(0, 0, 0), *colors]) * 255).round().astype(np.uint8)
    picture = np.where(edges[..., None] > 0, table[edges], np.asarray(gray)[..., None])
    panel = np.zeros((PANEL, PANEL, 3), np.uint8)
    top, left = (PANEL - size[1]) // 2, (PANEL - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = picture
    return panel


def _edges(mask: np.ndarray) -> np.ndarray:
    """Keep the classes of a mask (rows, columns) on its inner borders, `_CONTOUR` wide, and set the rest to 0."""
    rows, columns = mask.shape
    padded = np.pad(mask, _CONTOUR)
    inner = np.ones(mask.shape, bool)
    for shift in range(1, _CONTOUR + 1):
        for down, right in ((shift, 0), (-shift, 0), (0, shift), (0, -shift)):
            top, left = _CONTOUR + down, _CONTOUR + right
            inner &= padded[top : top + rows, left : left + columns] == mask
    return np.where(inner, 0, mask)
