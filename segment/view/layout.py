"""Where the planes of an organ are on the page of an overlay.

Usually, they are side by side. In a thin stack, the upright planes are low strips. They are then on top of each other
beside a large axial plane, and the organ is shown enlarged below them if there is room.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 13.0  # of the page; inches, like all lengths here
GAP = 0.1
NOTE = 0.25  # caption below a low panel
MIN_HEIGHT = 1.0  # in a lower panel, the letters would cover each other and the image
_MAX_ROW, _MAX_STACK = 5.5, 6.2  # height of the planes in both arrangements
_MIN_ENLARGED = 2.0  # height
_ORDER = (2, 1, 0)  # axial, coronal, sagittal: the axis of L, P and I across the plane


@dataclass(frozen=True)
class Place:
    """Where a plane is.

    Attributes:
        axis: The axis (of L, P, I) across it.
        left: From the left end of the page.
        top: From the upper end of the organ's planes, downwards.
        width: Of the plane.
        height: Of the plane, without the caption below a low one.
        is_enlarged: Whether it shows the surroundings of the organ only.
    """

    axis: int
    left: float
    top: float
    width: float
    height: float
    is_enlarged: bool = False

    @property
    def bottom(self) -> float:
        """Lower end with the caption, from the upper end of the organ's planes."""
        return self.top + self.height + (NOTE if self.height < MIN_HEIGHT else 0)


def arrange(size_mm: Sequence[float]) -> list[Place]:
    """Places of the planes, all of one scale except an enlarged one.

    Args:
        size_mm: Size of the scan, or of the part that is shown, along L, P and I.
    """
    across, deep, high = size_mm
    row = min((WIDTH - 4 * GAP) / (2 * across + deep), _MAX_ROW / max(deep, high))
    room = _MAX_STACK - GAP - 2 * NOTE
    stack = min((WIDTH - 3 * GAP) / (across + max(across, deep)), _MAX_STACK / deep, room / (2 * high))
    return _stack(size_mm, stack) if stack > 1.05 * row else _row(size_mm, row)


def _row(size_mm: Sequence[float], scale: float) -> list[Place]:
    places, left = [], GAP
    for axis in _ORDER:
        width, height = _panel(size_mm, axis, scale)
        places.append(Place(axis, left, 0.0, width, height))
        left += width + GAP
    return places


def _stack(size_mm: Sequence[float], scale: float) -> list[Place]:
    axial = Place(2, GAP, 0.0, *_panel(size_mm, 2, scale))
    left = axial.left + axial.width + GAP
    coronal = Place(1, left, 0.0, *_panel(size_mm, 1, scale))
    sagittal = Place(0, left, coronal.bottom + GAP, *_panel(size_mm, 0, scale))
    top = sagittal.bottom + GAP
    if axial.height - top < _MIN_ENLARGED:
        return [axial, coronal, sagittal]
    return [axial, coronal, sagittal, Place(2, left, top, WIDTH - GAP - left, axial.height - top, is_enlarged=True)]


def _panel(size_mm: Sequence[float], axis: int, scale: float) -> tuple[float, float]:
    """Width and height of a plane across `axis`."""
    first, second = (scale * length for other, length in enumerate(size_mm) if other != axis)
    return first, second
