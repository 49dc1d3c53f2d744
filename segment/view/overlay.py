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
from segment.view.overlap import OrganOverlap
from segment.view.panel import MIN_HEIGHT, PLANES, add_letters, plot_plane
from segment.view.scene import Scene, make_scene

_DPI = 125  # about one pixel for each pixel of a 512×512 CT
_MAX_PX = 60_000  # height of the page; Agg renders less than 2¹⁶, which a hundred organs would exceed
_WIDTH = 13.0  # inches, like all lengths on the page
_MAX_PANEL = 5.5
_MAX_LENGTH_MM = 420  # length of the body around an organ in upright planes; bounds the page of a whole-body CT
_GAP = 0.1
_CAPTION = 0.36
_NOTE = 0.25  # caption below a low panel
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

    The planes have radiological orientation, with the patient's right on the left of the picture, and true
    proportions. Solid contours in the organ's colour are the prediction, dashed white ones the reference. An organ in
    neither of them has a row with text only.

    Args:
        path: The picture; after an error it is unchanged.
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        reference: (I,J,K) class indices. The planes then go through the reference organ.
        annotated: Whether the reference covers each class, background first; None: all.
        window_hu: The HU shown as black and as white; the default is a common window for abdominal soft tissue.
        title: Text at the top, e.g. the case's id.

    Raises:
        ValueError: If shapes differ or a class has no name.
    """
    scene = make_scene(ct, pred, reference, affine, organs, window_hu)
    colors = organ_colors(organs)
    centers = _centers(scene, len(organs))
    inches = _inches_per_mm(scene)
    row = _CAPTION + _GAP + max(_panel_height(scene, axis, inches) for axis in range(3))
    heights = [_CAPTION if center is None else row for center in centers]
    page = _HEADER + sum(heights) + _GAP
    figure = Figure(figsize=(_WIDTH, page), dpi=min(_DPI, _MAX_PX / page), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    _add_header(figure, title, has_reference=reference is not None)
    top = figure.get_figheight() - _HEADER
    for index, (center, height) in enumerate(zip(centers, heights, strict=True), start=1):
        _add_caption(figure, top, _caption(scene, organs[index - 1], index, annotated), colors[index - 1])
        if center is not None:
            _add_row(figure, top - _CAPTION, inches, scene, index, center, colors)
        top -= height
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi="figure", facecolor=_PAPER)


def _centers(scene: Scene, count: int) -> list[tuple[int, ...] | None]:
    """For each organ, the index of its largest cross-section along each axis; of the reference if it has the organ."""
    centers: list[tuple[int, ...] | None] = [None] * count
    for mask in (scene.pred, scene.reference):
        if mask is None:
            continue
        for index, box in enumerate(ndimage.find_objects(mask, max_label=count)):
            if box is None:
                continue
            organ = mask[box] == index + 1
            center = []
            for part, others in zip(box, ((1, 2), (0, 2), (0, 1)), strict=True):
                areas = np.count_nonzero(organ, axis=others)
                center.append(part.start + _middle_of_largest(areas))
            centers[index] = tuple(center)
    return centers


def _middle_of_largest(areas: np.ndarray) -> int:
    """Index of the largest value; if there are several, e.g. in a box, the middle one."""
    largest = np.flatnonzero(areas == areas.max())
    return int(largest[len(largest) // 2])


def _panel_mm(scene: Scene, axis: int) -> tuple[float, float]:
    """Width and height of a plane across `axis`."""
    sizes = [n * edge for n, edge in zip(scene.ct.shape, scene.spacing_mm, strict=True)]
    sizes[2] = min(sizes[2], _MAX_LENGTH_MM)
    del sizes[axis]
    return sizes[0], sizes[1]


def _panel_height(scene: Scene, axis: int, inches_per_mm: float) -> float:
    """Height of a panel in inches, with the caption that a low panel has below it."""
    height = inches_per_mm * _panel_mm(scene, axis)[1]
    return height + _NOTE if height < MIN_HEIGHT else height


def _inches_per_mm(scene: Scene) -> float:
    """Scale of all panels; a common one lets readers compare the organs' sizes."""
    panels = [_panel_mm(scene, axis) for axis in range(3)]
    total_width = sum(width for width, _ in panels)
    max_height = max(height for _, height in panels)
    return min((_WIDTH - 4 * _GAP) / total_width, _MAX_PANEL / max_height)


def _add_header(figure: Figure, title: str, *, has_reference: bool) -> None:
    """Title on the left, legend on the right."""
    line = 1 - _HEADER / 2 / figure.get_figheight()
    text = figure.text(_GAP / _WIDTH, line, title, color=_INK, fontsize=14, weight="bold", va="center")
    text.set_parse_math(False)
    lines = [Line2D([], [], color=_INK, linewidth=2.2, label="prediction (in the organ's colour)")]
    if has_reference:
        lines.append(
            Line2D([], [], color="white", linewidth=1.3, linestyle=(0, (3, 2)), label="reference (white, dashed)")
        )
    anchor = (1 - _GAP / _WIDTH, line)
    figure.legend(
        handles=lines, loc="center right", bbox_to_anchor=anchor, ncols=2, frameon=False, labelcolor=_INK, borderpad=0
    )


def _add_caption(figure: Figure, top: float, caption: str, color: Color) -> None:
    """Colour swatch and text."""
    line = 1 - (figure.get_figheight() - top + _CAPTION / 2) / figure.get_figheight()
    figure.text(_GAP / _WIDTH, line, "■", color=color, fontsize=16, va="center")
    text = figure.text(3.5 * _GAP / _WIDTH, line, caption, color=_INK, fontsize=12, va="center")
    text.set_parse_math(False)


def _caption(scene: Scene, organ: str, index: int, annotated: Sequence[bool] | None) -> str:
    """Name, volumes and Dice; no Dice if the reference does not cover the organ."""
    name, shown = organ.replace("_", " "), OrganOverlap.of(scene, index, annotated)
    if scene.reference is None:
        return f"{name}    {shown.pred_ml:.1f} mL" if shown.pred_ml else f"{name}    not found by the prediction"
    if shown.reference_ml is None:
        return f"{name}    prediction {shown.pred_ml:.1f} mL    not annotated"
    if shown.dice is None:
        return f"{name}    absent from prediction and reference"
    volumes = f"prediction {shown.pred_ml:.1f} mL    reference {shown.reference_ml:.1f} mL"
    text = f"{name}    {volumes}    Dice {shown.dice:.3f}"
    if not shown.reference_ml:
        return f"{text}    absent from the reference"
    if not shown.pred_ml:
        return f"{text}    absent from the prediction"
    return text


def _add_row(
    figure: Figure,
    top: float,
    inches_per_mm: float,
    scene: Scene,
    index: int,
    center: tuple[int, ...],
    colors: Sequence[Color],
) -> None:
    """Three planes through the center, with their upper ends at `top`."""
    left = _GAP
    page = figure.get_figheight()
    for axis in PLANES:
        width_mm, height_mm = _panel_mm(scene, axis)
        width, height = inches_per_mm * width_mm, inches_per_mm * height_mm
        axes = figure.add_axes((left / _WIDTH, (top - height) / page, width / _WIDTH, height / page))
        plot_plane(axes, scene, axis, center, index, colors)
        if axis != 2:
            _crop(axes, center[2] * scene.spacing_mm[2], height_mm)
        add_letters(axes, scene, axis, center[axis], height)
        left += width + _GAP


def _crop(axes: Axes, middle_mm: float, length_mm: float) -> None:
    """Limit an upright plane to `length_mm` around the organ, within the scan."""
    bottom, _ = axes.get_ylim()
    start = min(max(0.0, middle_mm - length_mm / 2), bottom - length_mm)
    axes.set_ylim(start + length_mm, start)
