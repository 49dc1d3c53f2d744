"""Render a case as a small picture: a coronal and an axial plane through the organs, at one scale for all cases."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.measure import find_contours

from segment.anatomy.boxes import organ_boxes
from segment.view.colors import organ_colors
from segment.view.scene import Scene, make_scene, plane

WIDTH, HEIGHT = 300, 236  # pixels of a plane
PX_PER_MM = WIDTH / 420  # the same for all cases, which makes a wrong spacing obvious
_FINE = 2  # pictures are drawn larger by this factor and then shrunk, which smooths lines
_LINE = 3  # line width in pixels of the larger picture
_FARTHEST = 1e6  # pixels; contours are clipped there, because Pillow wraps around at 2³¹
_LETTERS = {1: "RLSI", 0: "APSI", 2: "RLAP"}  # left, right, top, bottom of a plane across an axis of (L,P,I)


def render_thumbnail(
    ct: np.ndarray,
    classes: np.ndarray | None,
    affine: np.ndarray,
    organs: Sequence[str],
    *,
    window_hu: tuple[float, float] = (-160, 240),
) -> bytes:
    """Return a PNG of `draw_thumbnail`, which explains the arguments."""
    png = io.BytesIO()
    draw_thumbnail(ct, classes, affine, organs, window_hu=window_hu).save(png, format="PNG")
    return png.getvalue()


def draw_thumbnail(
    ct: np.ndarray,
    classes: np.ndarray | None,
    affine: np.ndarray,
    organs: Sequence[str],
    *,
    window_hu: tuple[float, float] = (-160, 240),
) -> Image.Image:
    """A picture, 2·`WIDTH` wide and `HEIGHT` high: coronal left, axial right, the patient's right on the left.

    The planes are those that show most of all organs. Without organs, they are the middle planes.

    Args:
        ct: (I,J,K) in HU, in any orientation.
        classes: (I,J,K) class indices, or None if they are unknown.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        window_hu: The HU shown as black and as white.
    """
    if classes is None:
        classes = np.zeros(ct.shape, np.uint8)
    scene = make_scene(ct, classes, None, affine, organs, window_hu)
    center = _center(scene, len(organs))
    both = Image.new("RGB", (2 * WIDTH, HEIGHT))
    for index, axis in enumerate((1, 2)):
        both.paste(_panel(scene, axis, center, organs), (index * WIDTH, 0))
    return both


def _center(scene: Scene, count: int) -> tuple[int, int, int]:
    """Return the plane along each axis that shows most of the organs.

    Each organ contributes the square root of its area, as a share of its largest area. With the root, a plane through
    half of two organs counts more than a plane through the whole of one.
    """
    shares = [np.zeros(n) for n in scene.pred.shape]
    for index, box in enumerate(organ_boxes(scene.pred, count), start=1):
        if box is None:
            continue
        organ = scene.pred[box] == index
        for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
            areas = np.count_nonzero(organ, axis=others)
            shares[axis][box[axis]] += np.sqrt(areas / areas.max())
    left, posterior, inferior = (_best_plane(share) for share in shares)
    return left, posterior, inferior


def _best_plane(shares: np.ndarray) -> int:
    return int(np.argmax(shares)) if shares.any() else len(shares) // 2


def _panel(scene: Scene, axis: int, center: Sequence[int], organs: Sequence[str]) -> Image.Image:
    """Render the plane across an axis, in true proportions, centred on the organs."""
    scale = _FINE * PX_PER_MM
    gray, classes = scene.gray(axis, center[axis]), plane(scene.pred, axis, center[axis])
    down, across = (scene.spacing_mm[other] * scale for other in (2, 1, 0) if other != axis)  # pixels per voxel
    width, height = max(1, round(across * gray.shape[1])), max(1, round(down * gray.shape[0]))
    left = _corner(_FINE * WIDTH, width, width / 2)
    top = _corner(_FINE * HEIGHT, height, _middle(classes) * down)
    panel = Image.new("RGB", (_FINE * WIDTH, _FINE * HEIGHT))
    _paste_enlarged(panel, gray, (left, top), (width, height))
    draw = ImageDraw.Draw(panel)
    for index, color in enumerate(organ_colors(organs), start=1):
        # Padding with background closes the contour of an organ that is cut by the border of the scan.
        for contour in find_contours(np.pad(classes == index, 1).astype(np.float32), 0.5):
            points = (contour[:, ::-1] - 0.5) * (across, down) + (left, top)
            line = [tuple(point) for point in points.clip(-_FARTHEST, _FARTHEST).tolist()]
            draw.line(line, fill=tuple(int(255 * part) for part in color), width=_LINE, joint="curve")
    panel = panel.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    _draw_letters(panel, _LETTERS[axis])
    return panel


def _middle(classes: np.ndarray) -> float:
    """Return the middle row of the organs or, without organs, of the plane."""
    rows = np.flatnonzero(classes.any(axis=1))
    return float(rows[0] + rows[-1] + 1) / 2 if len(rows) else classes.shape[0] / 2


def _corner(panel: int, size: int, middle: float) -> int:
    """Return the coordinate in a panel at which a picture starts.

    A picture that fits is centred. A larger one is shifted so that `middle` is as close to the panel's centre as
    possible without leaving a gap.
    """
    if size <= panel:
        return (panel - size) // 2
    return -round(min(max(middle - panel / 2, 0), size - panel))


def _paste_enlarged(panel: Image.Image, gray: np.ndarray, origin: tuple[int, int], size: tuple[int, int]) -> None:
    """Paste a picture that is resized to `size` and starts at `origin`, both in pixels of the panel.

    Only the part inside the panel is resized. If a wrong header states voxels of 3 m, the whole picture would take
    gigabytes.
    """
    start = [max(0, -at) for at in origin]
    stop = [min(edge, limit - at) for edge, limit, at in zip(size, panel.size, origin, strict=True)]
    voxels = [count / edge for count, edge in zip(gray.shape[::-1], size, strict=True)]  # per pixel
    box = (start[0] * voxels[0], start[1] * voxels[1], stop[0] * voxels[0], stop[1] * voxels[1])
    part = (stop[0] - start[0], stop[1] - start[1])
    picture = Image.fromarray(gray).resize(part, Image.Resampling.BICUBIC, box=box)
    panel.paste(picture.convert("RGB"), (max(0, origin[0]), max(0, origin[1])))


def _draw_letters(panel: Image.Image, letters: str) -> None:
    draw = ImageDraw.Draw(panel)
    x, y = WIDTH // 2, HEIGHT // 2
    positions = (((5, y), "lm"), ((WIDTH - 5, y), "rm"), ((x, 4), "mt"), ((x, HEIGHT - 5), "mb"))
    for letter, (position, anchor) in zip(letters, positions, strict=True):
        font = ImageFont.load_default(15)
        draw.text(
            position, letter, font=font, fill=(240, 240, 240), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0)
        )
