"""One video per case: the slices of the scan with contours, beside the organs in 3D."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segment.view.colors import Color, organ_colors
from segment.view.encode import encode
from segment.view.frame import PANEL, Frame
from segment.view.overlap import OrganOverlap
from segment.view.panel import border_letters, position
from segment.view.renderer import Renderer
from segment.view.scene import Scene, make_scene, plane
from segment.view.surface import build_surface
from segment.view.turntable_gif import write_gif

_SLICES_SHARE = 0.6  # share of the video during which the organs grow; then they turn
_CONTOUR = 2  # pixels; the video's colour subsampling would blur a single one
_DASH = 10  # pixels, length of the dashes of the reference and of the gaps between them


def write_video(
    path: Path,
    ct: np.ndarray,
    pred: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    *,
    reference: np.ndarray | None = None,
    annotated: Sequence[bool] | None = None,
    title: str = "",
    turntable: Path | None = None,
    window_hu: tuple[float, float] = (-160, 240),
    fps: int = 12,
    seconds: float = 14.0,
) -> None:
    """Write an MP4, 1280 pixels wide: axial slices from feet to head, beside the organs up to that slice in 3D.

    After the last slice, the complete organs rotate once about the body's axis, while the slices run back to the feet.
    In both panels, the patient's right is on the left of the picture. The largest organ is translucent. If there is no
    organ, the right panel shows "no organ found" and the video ends after the slices.

    Args:
        path: The video, `.mp4`; after an error it is unchanged.
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        reference: (I,J,K) class indices; its contours are white and dashed.
        annotated: Whether the reference covers each class, background first; None: all.
        title: Text at the top, e.g. the case's id.
        turntable: Where to write the turning organs as a GIF of 320 pixels; without organs, none is written.
        window_hu: The HU shown as black and as white; the default is a common window for abdominal soft tissue.
        fps: Frames per second.
        seconds: Duration. A scan with few slices shows each of them longer; in one with many, some are left out at
            regular distances.

    Raises:
        ValueError: If shapes differ, a class has no name, or the video is too short for a frame of each part.
        RuntimeError: If ffmpeg fails.
    """
    slices, rotations = round(_SLICES_SHARE * seconds * fps), round((1 - _SLICES_SHARE) * seconds * fps)
    if min(slices, rotations) < 1:
        msg = f"fps * seconds must leave frames for the slices and the rotation, got {fps} * {seconds}"
        raise ValueError(msg)
    scene = make_scene(ct, pred, reference, affine, organs, window_hu)
    colors = organ_colors(organs)
    shown = [OrganOverlap.of(scene, index, annotated) for index in range(1, len(organs) + 1)]
    frame = Frame(title, _note(scene, shown), border_letters(scene, 2), _legend(scene, organs, shown), colors)
    surface = build_surface(scene.pred, scene.spacing_mm, len(organs), points_across=0.4 * PANEL)
    renderer = None if surface is None else Renderer(surface, colors, PANEL, translucent=surface.largest)
    turns: list[np.ndarray] = []
    encode(path, _frames(scene, renderer, colors, frame, slices, rotations, turns), frame.size, fps)
    if turntable is not None and turns:
        write_gif(turntable, turns)


def _note(scene: Scene, shown: Sequence[OrganOverlap]) -> str:
    """What the contours are, the mean Dice, and the window."""
    window = f"window {scene.window_hu[0]:g} to {scene.window_hu[1]:g} HU"
    if scene.reference is None:
        return f"contours: prediction    {window}"
    known = [one.dice for one in shown if one.dice is not None]
    dice = f"mean Dice {np.mean(known):.3f}    " if known else ""
    return f"contours: prediction, and reference (white, dashed)    {dice}{window}"


def _legend(scene: Scene, organs: Sequence[str], shown: Sequence[OrganOverlap]) -> list[str]:
    """Each organ's name, volume, Dice, and the ends of the scan that cut it."""
    entries = []
    for index, (organ, one) in enumerate(zip(organs, shown, strict=True), start=1):
        parts = [f"{organ.replace('_', ' ')} {_volume(one.pred_ml)}"]
        if one.dice is not None:
            parts.append(f"Dice {one.dice:.3f}")
        cut = scene.cut_by(index)
        if cut:
            parts.append(f"cut by the {' and '.join(cut)} end of the scan")
        entries.append(", ".join(parts))
    return entries


def _volume(milliliters: float) -> str:
    if not milliliters:
        return "not found"
    return f"{milliliters:.2f} mL" if milliliters < 10 else f"{milliliters:.0f} mL"


def _frames(
    scene: Scene,
    renderer: Renderer | None,
    colors: Sequence[Color],
    frame: Frame,
    slices: int,
    rotations: int,
    turns: list[np.ndarray],
) -> Iterator[np.ndarray]:
    """All frames in order; every second view of the turning organs is appended to `turns`."""
    depth = scene.ct.shape[2]
    for index in np.linspace(depth - 1, 0, slices).round().astype(int).tolist():
        caption, picture = _slice_caption(scene, index), slice_picture(scene, index, colors)
        if renderer is None:
            yield frame.compose(caption, picture, None)
        else:
            height_mm = renderer.surface.middle_mm[2] - index * scene.spacing_mm[2]
            yield frame.compose(caption, picture, renderer.render_up_to(height_mm), renderer=renderer)
    if renderer is None:
        return
    back = np.linspace(0, depth - 1, rotations).round().astype(int).tolist()
    for step, index in enumerate(back, start=1):
        caption, picture = _slice_caption(scene, index), slice_picture(scene, index, colors)
        angle = 2 * np.pi * step / rotations
        page = frame.compose(caption, picture, renderer.render_rotated(angle), renderer=renderer, angle=angle)
        if step % 2:
            turns.append(frame.organs_of(page))
        yield page


def _slice_caption(scene: Scene, index: int) -> str:
    depth = scene.ct.shape[2]
    return f"axial slice {depth - index} of {depth}, {position('SI', scene.position_mm(2, index))}"


def slice_picture(scene: Scene, index: int, colors: Sequence[Color]) -> np.ndarray:
    """An axial slice in true proportions with contours, padded with black, RGB (PANEL, PANEL, 3)."""
    width, height = (n * edge for n, edge in zip(scene.ct.shape[:2], scene.spacing_mm[:2], strict=True))
    scale = PANEL / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    gray = Image.fromarray(scene.gray(2, index)).resize(size, Image.Resampling.BILINEAR)
    edges = _edges(_resized(scene.pred, index, size), _CONTOUR)
    table = (np.array([(0, 0, 0), *colors]) * 255).round().astype(np.uint8)
    picture = np.where(edges[..., None] > 0, table[edges], np.asarray(gray)[..., None])
    if scene.reference is not None:
        picture[_dashes(_edges(_resized(scene.reference, index, size), 1))] = 255
    panel = np.zeros((PANEL, PANEL, 3), np.uint8)
    top, left = (PANEL - size[1]) // 2, (PANEL - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = picture
    return panel


def _resized(mask: np.ndarray, index: int, size: tuple[int, int]) -> np.ndarray:
    """An axial slice of a mask as a picture of the given width and height."""
    picture = Image.fromarray(plane(mask, 2, index).astype(np.uint8))
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST))


def _dashes(edges: np.ndarray) -> np.ndarray:
    """Where the borders of a mask (rows, columns) have a dash: bands across the picture take turns."""
    bands = np.add.outer(*map(np.arange, edges.shape)) // _DASH
    return np.asarray((edges > 0) & (bands % 2 == 0))


def _edges(mask: np.ndarray, width: int) -> np.ndarray:
    """Keep the classes of a mask (rows, columns) on its inner borders, `width` wide, and set the rest to 0."""
    rows, columns = mask.shape
    padded = np.pad(mask, width)
    inner = np.ones(mask.shape, bool)
    for shift in range(1, width + 1):
        for down, right in ((shift, 0), (-shift, 0), (0, shift), (0, -shift)):
            top, left = width + down, width + right
            inner &= padded[top : top + rows, left : left + columns] == mask
    return np.where(inner, 0, mask)
