"""Plots one plane of a scan with its contours as a panel of a matplotlib page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from segment.view.colors import Color
from segment.view.scene import Scene, plane

# Key: the axis (of L, P, I) across the plane. Value: its name, the body sides at which RAS coordinates along that axis
# are positive and negative, and the letters at the left, right, top and bottom border.
PLANES = {2: ("axial", "SI", "RLAP"), 1: ("coronal", "AP", "RLSI"), 0: ("sagittal", "RL", "APSI")}
MIN_HEIGHT = 1.0  # inches; in a lower panel the letters would cover each other and the image
# x, y, horizontal and vertical alignment of the letters, as shares of the panel.
_BORDERS = (
    (0.015, 0.5, "left", "center"),
    (0.985, 0.5, "right", "center"),
    (0.5, 0.985, "center", "top"),
    (0.5, 0.015, "center", "bottom"),
)
_OUTLINE = withStroke(linewidth=2.5, foreground="black")
_ORGAN_WIDTH, _OTHER_WIDTH, _REFERENCE_WIDTH = 1.8, 0.9, 1.2  # points


def plot_plane(axes: Axes, scene: Scene, axis: int, center: Sequence[int], index: int, colors: Sequence[Color]) -> None:
    """Plot a plane of the CT in true proportions with the contours of all organs.

    The organ `index` gets a thicker contour and, dashed, that of its reference. Axes count millimetres from the upper
    left corner of the plane.
    """
    gray = scene.gray(axis, center[axis])
    rows, columns = gray.shape
    column_mm, row_mm = (scene.spacing_mm[other] for other in range(3) if other != axis)
    extent = (0, columns * column_mm, rows * row_mm, 0)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="bilinear")
    pred = plane(scene.pred, axis, center[axis])
    for number, color in enumerate(colors, start=1):
        width = _ORGAN_WIDTH if number == index else _OTHER_WIDTH
        _plot_contour(axes, pred == number, extent, color, width, "solid")
    if scene.reference is not None:
        reference = plane(scene.reference, axis, center[axis])
        _plot_contour(axes, reference == index, extent, "white", _REFERENCE_WIDTH, "dashed")
    axes.set_axis_off()


def _plot_contour(
    axes: Axes,
    organ: np.ndarray,
    extent: tuple[float, float, float, float],
    color: Color | str,
    width: float,
    style: str,
) -> None:
    if not organ.any():
        return  # matplotlib warns about an empty contour
    # A border of background closes the contour of an organ that the scan cuts off.
    padded = np.pad(organ, 1).astype(np.float32)
    rows, columns = organ.shape
    x = (np.arange(-1, columns + 1) + 0.5) * extent[1] / columns
    y = (np.arange(-1, rows + 1) + 0.5) * extent[2] / rows
    contour = axes.contour(x, y, padded, levels=[0.5], colors=[color], linewidths=width, linestyles=style)
    if style == "dashed":
        contour.set_path_effects([withStroke(linewidth=1.9, foreground="black")])  # white is invisible on bone
    axes.set(xlim=extent[:2], ylim=extent[2:])


def add_letters(axes: Axes, scene: Scene, axis: int, index: int, height: float) -> None:
    """Label the body's sides and the plane's position: in the picture, or below it if it is lower than `MIN_HEIGHT`."""
    name, sides, letters = PLANES[axis]
    caption = f"{name}, {position(sides, scene.position_mm(axis, index))}"
    is_low = height < MIN_HEIGHT
    x, y = 0.015, 0.985
    if is_low:
        borders = zip(letters, ("left", "right", "top", "bottom"), strict=True)
        caption += "; " + ", ".join(f"{letter} {border}" for letter, border in borders)
        x, y = 0.0, -0.05 / height
    axes.text(x, y, caption, transform=axes.transAxes, color="#d0d0d0", fontsize=8.5, va="top", path_effects=[_OUTLINE])
    if is_low:
        return
    for letter, (x, y, horizontal, vertical) in zip(letters, _BORDERS, strict=True):
        axes.text(
            x,
            y,
            letter,
            transform=axes.transAxes,
            color="white",
            fontsize=13,
            weight="bold",
            ha=horizontal,
            va=vertical,
            path_effects=[_OUTLINE],
        )


def position(sides: str, mm: float) -> str:
    """A coordinate with the letter of its side, e.g. "L 79 mm" for the sides "RL" and -79.

    Args:
        sides: The letters for positive and negative coordinates.
        mm: The coordinate.
    """
    rounded = round(mm)
    return f"{sides[rounded < 0]} {abs(rounded)} mm"
