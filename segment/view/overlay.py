"""One picture per case: three planes through each organ with the contours of prediction and reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from scipy import ndimage

from segment.files import atomic_write
from segment.view.colors import Color, organ_colors
from segment.view.layout import GAP, WIDTH, Place, arrange
from segment.view.overlap import OrganOverlap
from segment.view.panel import add_letters, add_scale_bar, enlarge, plot_plane
from segment.view.scene import Scene, make_scene

_DPI = 125  # about one pixel for each pixel of a 512×512 CT
_MAX_PX = 60_000  # height of the page; Agg renders less than 2¹⁶, which a hundred organs would exceed
_MAX_LENGTH_MM = 420  # length of the body around an organ in upright planes; bounds the page of a whole-body CT
_CAPTION = 0.36  # inches, like all lengths on the page
_HEADER = 0.5
_PAPER, _INK = "#111111", "#f2f2f2"
_PNG = {"compress_level": 3}  # half the time of the default of 6; the page of a real CT is not larger


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
    proportions. In a thin stack, whose upright planes are low, the axial plane is larger. Solid contours in the organ's
    colour are the prediction, dashed white ones the reference. An organ in neither of them has a row with text only.

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
    places = arrange(_shown_mm(scene))
    row = _CAPTION + GAP + max(place.bottom for place in places)
    heights = [_CAPTION if center is None else row for center in centers]
    page = _HEADER + sum(heights) + GAP
    figure = Figure(figsize=(WIDTH, page), dpi=min(_DPI, _MAX_PX / page), facecolor=_PAPER)
    FigureCanvasAgg(figure)
    _add_header(figure, title, scene)
    top = figure.get_figheight() - _HEADER
    for index, (center, height) in enumerate(zip(centers, heights, strict=True), start=1):
        _add_caption(figure, top, _caption(scene, organs[index - 1], index, annotated), colors[index - 1])
        if center is not None:
            _add_row(figure, top - _CAPTION, places, scene, index, center, colors)
        top -= height
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi="figure", facecolor=_PAPER, pil_kwargs=_PNG)


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


def _add_header(figure: Figure, title: str, scene: Scene) -> None:
    """Title on the left; on the right, what the contours are, and the window."""
    line = 1 - _HEADER / 2 / figure.get_figheight()
    lines = [Line2D([], [], color=_INK, linewidth=2.2, label="prediction (in the organ's colour)")]
    if scene.reference is not None:
        lines.append(
            Line2D([], [], color="white", linewidth=1.3, linestyle=(0, (3, 2)), label="reference (white, dashed)")
        )
    lines.append(Line2D([], [], linestyle="none", label=f"window {scene.window_hu[0]:g} to {scene.window_hu[1]:g} HU"))
    anchor = (1 - GAP / WIDTH, line)
    legend = figure.legend(
        handles=lines, loc="center right", bbox_to_anchor=anchor, ncols=3, frameon=False, labelcolor=_INK, borderpad=0
    )
    text = figure.text(GAP / WIDTH, line, " ".join(title.split()), color=_INK, fontsize=14, weight="bold", va="center")
    text.set_parse_math(False)
    _shorten(text, legend.get_window_extent().x0 - 3 * GAP * figure.dpi)


def _shorten(text: Text, end: float) -> None:
    """Shorten a text that reaches beyond a column of pixels."""
    words = text.get_text()
    while words and text.get_window_extent().x1 > end:
        words = words[:-1]
        text.set_text(f"{words}…")


def _add_caption(figure: Figure, top: float, caption: str, color: Color) -> None:
    """Colour swatch and text."""
    line = 1 - (figure.get_figheight() - top + _CAPTION / 2) / figure.get_figheight()
    figure.text(GAP / WIDTH, line, "■", color=color, fontsize=16, va="center")
    text = figure.text(3.5 * GAP / WIDTH, line, caption, color=_INK, fontsize=12, va="center")
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
    places: Sequence[Place],
    scene: Scene,
    index: int,
    center: tuple[int, ...],
    colors: Sequence[Color],
) -> None:
    """The planes through the center, with their upper ends at `top`."""
    page = figure.get_figheight()
    for place in places:
        box = (place.left / WIDTH, (top - place.top - place.height) / page, place.width / WIDTH, place.height / page)
        axes = figure.add_axes(box)
        plot_plane(axes, scene, place.axis, center, index, colors)
        if place.is_enlarged:
            enlarge(axes, scene, center[2], index, place.width / place.height)
        elif place.axis != 2:
            _crop(axes, center[2] * scene.spacing_mm[2], _shown_mm(scene)[2])
        add_letters(axes, scene, place, center[place.axis])
        if place.axis == 2:
            add_scale_bar(axes)


def _shown_mm(scene: Scene) -> list[float]:
    """Size of the scan along L, P and I, as far as the planes show it."""
    sizes = [n * edge for n, edge in zip(scene.ct.shape, scene.spacing_mm, strict=True)]
    sizes[2] = min(sizes[2], _MAX_LENGTH_MM)
    return sizes


def _crop(axes: Axes, middle_mm: float, length_mm: float) -> None:
    """Limit an upright plane to `length_mm` around the organ, within the scan."""
    bottom, _ = axes.get_ylim()
    start = min(max(0.0, middle_mm - length_mm / 2), bottom - length_mm)
    axes.set_ylim(start + length_mm, start)
