"""One picture per case: three planes through each organ with the contours of prediction and reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import ndimage

from segment.files import atomic_write
from segment.view.colors import Color, organ_colors
from segment.view.panel import PLANES, THIN, draw_letters, draw_plane
from segment.view.scene import Scene, make_scene

_DPI = 125  # about a pixel per pixel of a 512×512 CT
_MOST_PX = 60_000  # of the page's height: Agg renders less than 2¹⁶, which a hundred organs exceed
_WIDTH = 13.0  # inches, as all lengths on the page
_MAX_PANEL = 5.5
_MAX_LENGTH_MM = 420  # of the body along S shown around an organ: a whole-body CT must not make metres of page
_GAP = 0.1
_CAPTION = 0.36
_NOTE = 0.25  # below a thin plane
_HEADER = 0.5
_PAPER, _INK = "#111111", "#f2f2f2"


def write_overlay(
    path: Path,
    ct: np.ndarray,
    pred: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    *,
    reference: np.ndarray | None = None,
    annotated: Sequence[bool] | None = None,
    window_hu: tuple[float, float] = (-160, 240),
    title: str = "",
) -> None:
    """Write a PNG with a row per organ: axial, coronal and sagittal plane through the organ's largest cross-sections.

    The planes are seen in the radiologist's way, the patient's right on the left of the picture, in true proportions.
    Solid contours are the prediction, in the organ's colour; dashed white ones the reference. An organ found in neither
    has a row that says so.

    Args:
        path: The picture; it appears whole or not at all.
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        reference: (I,J,K) class indices; the planes then go through the true organ.
        annotated: Whether the reference knows each class, background first; None: all.
        window_hu: The HU shown black and white; the default is a usual window for abdominal soft tissue.
        title: What stands on top, say the case's id.

    Raises:
        ValueError: On differing shapes or classes without a name.
    """
    scene = make_scene(ct, pred, reference, affine, organs, window_hu)
    colors = organ_colors(organs)
    centers = _centers(scene, len(organs))
    inches = _inches_per_mm(scene)
    planes = [inches * _panel_mm(scene, axis)[1] for axis in range(3)]
    row = _CAPTION + _GAP + max(height + (_NOTE if height < THIN else 0) for height in planes)
    heights = [_CAPTION if center is None else row for center in centers]
    page = _HEADER + sum(heights) + _GAP
    figure = Figure(figsize=(_WIDTH, page), dpi=min(_DPI, _MOST_PX / page), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    _draw_header(figure, title, has_truth=reference is not None)
    top = figure.get_figheight() - _HEADER
    for index, (center, height) in enumerate(zip(centers, heights, strict=True), start=1):
        caption = _caption(scene, organs[index - 1], index, annotated is None or annotated[index])
        _draw_caption(figure, top, caption, colors[index - 1])
        if center is not None:
            _draw_row(figure, top - _CAPTION, inches, scene, index, center, colors)
        top -= height
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png", dpi="figure", facecolor=_PAPER)


def _centers(scene: Scene, count: int) -> list[tuple[int, ...] | None]:
    """Per organ and axis, the plane where the organ, the true one if there is one, is largest."""
    centers: list[tuple[int, ...] | None] = [None] * count
    for mask in (scene.pred, scene.reference):
        if mask is None:
            continue
        for index, box in enumerate(ndimage.find_objects(mask, max_label=count)):
            if box is not None:
                organ = mask[box] == index + 1
                areas = (np.count_nonzero(organ, axis=others) for others in ((1, 2), (0, 2), (0, 1)))
                centers[index] = tuple(s.start + _middle_of_best(a) for s, a in zip(box, areas, strict=True))
    return centers


def _middle_of_best(areas: np.ndarray) -> int:
    """Index of the largest value; of several, as in a box, the middle one."""
    best = np.flatnonzero(areas == areas.max())
    return int(best[len(best) // 2])


def _panel_mm(scene: Scene, axis: int) -> tuple[float, float]:
    """Width and height of a plane across `axis`."""
    sizes = [n * edge for n, edge in zip(scene.ct.shape, scene.spacing_mm, strict=True)]
    sizes[2] = min(sizes[2], _MAX_LENGTH_MM)
    del sizes[axis]
    return sizes[0], sizes[1]


def _inches_per_mm(scene: Scene) -> float:
    """One scale for the whole page, so that organs can be compared by eye."""
    panels = [_panel_mm(scene, axis) for axis in range(3)]
    return min((_WIDTH - 4 * _GAP) / sum(w for w, _ in panels), _MAX_PANEL / max(h for _, h in panels))


def _draw_header(figure: Figure, title: str, *, has_truth: bool) -> None:
    """Title on the left, legend on the right."""
    line = 1 - _HEADER / 2 / figure.get_figheight()
    text = figure.text(_GAP / _WIDTH, line, title, color=_INK, fontsize=14, weight="bold", va="center")
    text.set_parse_math(False)
    lines = [Line2D([], [], color=_INK, linewidth=2.2, label="prediction (in the organ's colour)")]
    if has_truth:
        lines.append(
            Line2D([], [], color="white", linewidth=1.3, linestyle=(0, (3, 2)), label="reference (white, dashed)")
        )
    anchor = (1 - _GAP / _WIDTH, line)
    figure.legend(
        handles=lines, loc="center right", bbox_to_anchor=anchor, ncols=2, frameon=False, labelcolor=_INK, borderpad=0
    )


def _draw_caption(figure: Figure, top: float, caption: str, color: Color) -> None:
    """Swatch and text."""
    line = 1 - (figure.get_figheight() - top + _CAPTION / 2) / figure.get_figheight()
    figure.text(_GAP / _WIDTH, line, "■", color=color, fontsize=16, va="center")
    text = figure.text(3.5 * _GAP / _WIDTH, line, caption, color=_INK, fontsize=12, va="center")
    text.set_parse_math(False)


def _caption(scene: Scene, organ: str, index: int, is_known: bool) -> str:
    """Name, volumes and Dice; no Dice where the reference does not know the organ."""
    name = organ.replace("_", " ")
    pred = scene.pred == index
    pred_ml = np.count_nonzero(pred) * scene.voxel_ml
    if scene.reference is None:
        return f"{name}    {pred_ml:.1f} mL" if pred_ml else f"{name}    not found by the prediction"
    if not is_known:
        return f"{name}    prediction {pred_ml:.1f} mL    not annotated"
    true = scene.reference == index
    true_ml = np.count_nonzero(true) * scene.voxel_ml
    if not pred_ml and not true_ml:
        return f"{name}    absent from prediction and reference"
    # Dice of this whole case: twice the shared volume over the sum of both; 0 when one side lacks the organ.
    dice = 2 * np.count_nonzero(pred & true) * scene.voxel_ml / (pred_ml + true_ml)
    missing = "" if pred_ml and true_ml else f"    absent from the {'reference' if pred_ml else 'prediction'}"
    return f"{name}    prediction {pred_ml:.1f} mL    reference {true_ml:.1f} mL    Dice {dice:.3f}{missing}"


def _draw_row(
    figure: Figure,
    top: float,
    inches: float,
    scene: Scene,
    index: int,
    center: tuple[int, ...],
    colors: Sequence[Color],
) -> None:
    """Three planes through the center, hanging from `top`."""
    left = _GAP
    page = figure.get_figheight()
    for axis in PLANES:
        width, height = (inches * mm for mm in _panel_mm(scene, axis))
        axes = figure.add_axes((left / _WIDTH, (top - height) / page, width / _WIDTH, height / page))
        draw_plane(axes, scene, axis, center, index, colors)
        length = _panel_mm(scene, axis)[1]
        if axis != 2:
            _show_around(axes, center[2] * scene.spacing_mm[2], length)
        draw_letters(axes, scene, axis, center[axis], height)
        left += width + _GAP


def _show_around(axes: Axes, middle_mm: float, length_mm: float) -> None:
    """Let an upright plane show `length_mm` around the organ, within the scan."""
    bottom, _ = axes.get_ylim()
    start = min(max(0.0, middle_mm - length_mm / 2), bottom - length_mm)
    axes.set_ylim(start + length_mm, start)
