"""Plots one plane of a scan with its contours as a panel of a matplotlib page."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from segment.view.colors import Color
from segment.view.layout import MIN_HEIGHT, Place
from segment.view.scene import Scene, plane

# Key: the axis (of L, P, I) across the plane. Value: its name, and the body sides at which RAS coordinates along that
# axis are positive and negative.
PLANES = {2: ("axial", "SI"), 1: ("coronal", "AP"), 0: ("sagittal", "RL")}
_NARROW, _TWO_LINES = 3.0, 1.5  # inches; the caption of a narrower panel would reach its upper letter, or its end
_ROOM = 0.5  # around an enlarged organ, as a share of its size
_LEAST_ENLARGED_MM = 20.0  # of the height of the part that is shown
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


def enlarge(axes: Axes, scene: Scene, index: int, organ: int, aspect: float) -> None:
    """Limit an axial plane to the surroundings of an organ.

    Args:
        axes: The plane.
        scene: The scan.
        index: Index of the plane.
        organ: Class of the organ.
        aspect: Width of the panel divided by its height.
    """
    shown = plane(scene.pred, 2, index) == organ
    if scene.reference is not None:
        shown = shown | (plane(scene.reference, 2, index) == organ)
    rows, columns = np.nonzero(shown)
    column_mm, row_mm = scene.spacing_mm[:2]
    x = (columns.min() * column_mm, (columns.max() + 1) * column_mm)
    y = (rows.min() * row_mm, (rows.max() + 1) * row_mm)
    height = max(_LEAST_ENLARGED_MM, (1 + _ROOM) * (y[1] - y[0]), (1 + _ROOM) * (x[1] - x[0]) / aspect)
    middle_x, middle_y = sum(x) / 2, sum(y) / 2
    axes.set_xlim(middle_x - aspect * height / 2, middle_x + aspect * height / 2)
    axes.set_ylim(middle_y + height / 2, middle_y - height / 2)


def add_scale_bar(axes: Axes) -> None:
    """A bar of a round length in the lower left corner, at most a third of the panel; axes count millimetres."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    lengths = [length for length in (100, 50, 20, 10, 5, 2, 1) if length < (right - left) / 3]
    if not lengths:
        return
    x, y = left + 0.03 * (right - left), bottom + 0.04 * (top - bottom)
    axes.plot((x, x + lengths[0]), (y, y), color="white", linewidth=2, path_effects=[_OUTLINE], clip_on=False)
    words = f"{lengths[0] // 10} cm" if lengths[0] >= 10 else f"{lengths[0]} mm"
    above = y + 0.015 * (top - bottom)
    axes.text(x, above, words, color="white", fontsize=8.5, va="bottom", path_effects=[_OUTLINE])
    axes.set(xlim=(left, right), ylim=(bottom, top))


def add_letters(axes: Axes, scene: Scene, place: Place, index: int) -> None:
    """Label the body's sides and the plane's position: in the picture, or below it if it is low."""
    name, sides = PLANES[place.axis]
    letters = border_letters(scene, place.axis)
    where = "enlarged" if place.is_enlarged else position(sides, scene.position_mm(place.axis, index))
    if place.height < MIN_HEIGHT:
        borders = zip(letters, ("left", "right", "top", "bottom"), strict=True)
        words = f"{name}, {where}; " + ", ".join(f"{letter} {border}" for letter, border in borders)
        _add_text(axes, 0.0, -0.05 / place.height, words)
        return
    # A narrow panel has its caption in two lines and the upper letter below them.
    comma = ",\n" if place.width < _TWO_LINES else ", "
    _add_text(axes, 0.015, 0.985, f"{name}{comma}{where}")
    lower = 0.0 if place.width > _NARROW else (0.38 if place.width < _TWO_LINES else 0.2) / place.height
    for letter, (x, y, horizontal, vertical) in zip(letters, _BORDERS, strict=True):
        axes.text(
            x,
            y - lower if vertical == "top" else y,
            letter,
            transform=axes.transAxes,
            color="white",
            fontsize=13,
            weight="bold",
            ha=horizontal,
            va=vertical,
            path_effects=[_OUTLINE],
        )


def border_letters(scene: Scene, axis: int) -> list[str]:
    """Letters of the body's sides at the left, right, top and bottom border of a plane across `axis`."""
    return [letter for other, ends in enumerate(scene.letters) if other != axis for letter in ends]


def _add_text(axes: Axes, x: float, y: float, words: str) -> None:
    axes.text(x, y, words, transform=axes.transAxes, color="#d0d0d0", fontsize=8.5, va="top", path_effects=[_OUTLINE])


def position(sides: str, mm: float) -> str:
    """A coordinate with the letter of its side, e.g. "L 79 mm" for the sides "RL" and -79.

    Args:
        sides: The letters for positive and negative coordinates.
        mm: The coordinate.
    """
    rounded = round(mm)
    return f"{sides[rounded < 0]} {abs(rounded)} mm"
