"""Padding of CT slices: pixels outside the circle of the gantry, which were not measured (PS3.3, C.7.5.1.1.2).

Padding is connected to the border of the slice. Pixels with the same value inside the body are tissue.
"""

import math

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from segment.io.series import OUTSIDE_HU


def padding_hu(header: Dataset) -> tuple[float, float] | None:
    """Return the range of HU of padding, widened a little for rounding. Return None if the header states none.

    Raises:
        ValueError: When the rescale slope is 0, or slope or intercept is not finite.
    """
    intercept = float(header.get("RescaleIntercept") or 0)
    slope = 1.0
    if header.get("RescaleSlope") is not None:
        slope = float(header.RescaleSlope or 0)
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        raise ValueError(slope, intercept)
    if header.get("PixelPaddingValue") is None:
        return None
    ends = [header.PixelPaddingValue, header.get("PixelPaddingRangeLimit")]
    signed = header.get("PixelRepresentation") == 1
    hu = [_stored(end, signed) * slope + intercept for end in ends if end is not None]
    return min(hu) - abs(slope) / 4, max(hu) + abs(slope) / 4


def padding_as_air(hu: np.ndarray, values: tuple[float, float]) -> np.ndarray:
    """Return a slice (I,J) with its padding replaced by air. Padding that is darker than air stays.

    Args:
        hu: The slice.
        values: Lowest and highest value of padding.
    """
    outside = _connected_to_border((hu >= values[0]) & (hu <= values[1]))
    return np.where(outside, np.minimum(hu, OUTSIDE_HU), hu)


def _connected_to_border(mask: np.ndarray) -> np.ndarray:
    """Return the components of a mask (I,J) that touch its border. Pixels that share an edge are connected."""
    components, count = ndimage.label(mask)
    touches = np.zeros(count + 1, bool)
    for border in (components[0], components[-1], components[:, 0], components[:, -1]):
        touches[border] = True
    touches[0] = False  # background
    connected: np.ndarray = touches[components]
    return connected


def _stored(value: int | bytes, signed: bool) -> int:
    """Return the 16-bit value of a tag, read as signed or unsigned as the pixels are.

    Many writers store the tag with the wrong signedness, for example 65036 instead of -500.
    """
    number = int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)
    bits = number & 0xFFFF
    return bits - 0x10000 if signed and bits >= 0x8000 else bits
