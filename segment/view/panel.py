"""One plane of a scan with its contours, as part of a matplotlib page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from segment.view.colors import Color
from segment.view.scene import Scene, plane

# By the axis (of L, P, I) across the plane: its name, the sides of the body on which RAS millimetres along that axis
# are positive and negative, and the letters at the left, right, top and bottom border.
PLANES = {2: ("axial", "SI", "RLAP"), 1: ("coronal", "AP", "RLSI"), 0: ("sagittal", "RL", "APSI")}
THIN = 1.0  # inches of height, below which letters would lie on each other and on the image
# x, y, horizontal and vertical alignment of the letters, in shares of the panel.
_BORDERS = (
    (0.015, 0.5, "left", "center"),
    (0.985, 0.5, "right", "center"),
    (0.5, 0.985, "center", "top"),
    (0.5, 0.015, "center", "bottom"),
)
_OUTLINE = withStroke(linewidth=2.5, foreground="black")
_OWN_WIDTH, _OTHER_WIDTH, _TRUTH_WIDTH = 1.8, 0.9, 1.2  # points


def draw_plane(axes: Axes, scene: Scene, axis: int, center: Sequence[int], index: int, colors: Sequence[Color]) -> None:
    """The CT in true proportions with every organ's contour, the organ `index` heavier and with its reference.

    Axes count millimetres from the upper left corner of the plane.
    """
    gray = scene.gray(axis, center[axis])
    height, width = (
        n * edge for n, edge in zip(gray.shape, (scene.spacing_mm[a] for a in (2, 1, 0) if a != axis), strict=True)
    )
    extent = (0, width, height, 0)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="bilinear")
    pred = plane(scene.pred, axis, center[axis])
    for number, color in enumerate(colors, start=1):
        _draw_contour(axes, pred == number, extent, color, _OWN_WIDTH if number == index else _OTHER_WIDTH, "solid")
    if scene.reference is not None:
        reference = plane(scene.reference, axis, center[axis])
        _draw_contour(axes, reference == index, extent, "white", _TRUTH_WIDTH, "dashed")
    axes.set_axis_off()


def _draw_contour(
    axes: Axes,
    organ: np.ndarray,
    extent: tuple[float, float, float, float],
    color: Color | str,
    width: float,
    style: str,
) -> None:
    if not organ.any():
        return  # matplotlib warns about a contour of nothing
    # A ring of background closes the contour of an organ that the scan's border cuts.
    ringed = np.pad(organ, 1).astype(np.float32)
    rows, columns = organ.shape
    x = (np.arange(-1, columns + 1) + 0.5) * extent[1] / columns
    y = (np.arange(-1, rows + 1) + 0.5) * extent[2] / rows
    drawn = axes.contour(x, y, ringed, levels=[0.5], colors=[color], linewidths=width, linestyles=style)
    if style == "dashed":
        drawn.set_path_effects([withStroke(linewidth=1.9, foreground="black")])  # white is lost on bone otherwise
    axes.set(xlim=extent[:2], ylim=extent[2:])


def draw_letters(axes: Axes, scene: Scene, axis: int, index: int, height: float) -> None:
    """Label the body's sides and the plane's position: in the picture, or below one of less than `THIN` inches."""
    name, sides, letters = PLANES[axis]
    caption = f"{name}, {position(sides, scene.position_mm(axis, index))}"
    x, y = 0.015, 0.985
    if height < THIN:
        borders = zip(letters, ("left", "right", "top", "bottom"), strict=True)
        caption += "; " + ", ".join(f"{letter} {border}" for letter, border in borders)
        x, y = 0.0, -0.05 / height
    axes.text(x, y, caption, transform=axes.transAxes, color="#d0d0d0", fontsize=8.5, va="top", path_effects=[_OUTLINE])
    if height < THIN:
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
    """A coordinate with the letter of its side: "L 79 mm" of sides "RL" and -79.

    Args:
        sides: The letters of positive and negative coordinates.
        mm: The coordinate.
    """
    rounded = round(mm)
    return f"{sides[rounded < 0]} {abs(rounded)} mm"
