"""Pixels of a CT slice that stand for no measurement: what fills it up around the circle of the gantry.

PS3.3, C.7.5.1.1.2. Padding hangs together with the border of the slice; pixels of the same value within the body are
tissue.
"""

import math

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from segment.io.series import OUTSIDE_HU


def padding_hu(header: Dataset) -> tuple[float, float] | None:
    """Range of HU that the header gives to padding, a little widened for rounding; None where it names none.

    Raises:
        ValueError: When the rescale slope or intercept is none.
    """
    slope, intercept = (float(header.get(f"Rescale{name}") or 0) for name in ("Slope", "Intercept"))
    slope = slope if header.get("RescaleSlope") is not None else 1.0
    if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
        raise ValueError(slope, intercept)
    if header.get("PixelPaddingValue") is None:
        return None
    ends = [header.PixelPaddingValue, header.get("PixelPaddingRangeLimit")]
    signed = header.get("PixelRepresentation") == 1
    hu = [_stored(end, signed) * slope + intercept for end in ends if end is not None]
    return min(hu) - abs(slope) / 4, max(hu) + abs(slope) / 4


def padding_as_air(hu: np.ndarray, values: tuple[float, float]) -> np.ndarray:
    """A slice (I,J) with air in place of its padding, unless that is darker.

    Args:
        hu: The slice.
        values: Lowest and highest value of padding.
    """
    outside = _from_border((hu >= values[0]) & (hu <= values[1]))
    return np.where(outside, np.minimum(hu, OUTSIDE_HU), hu)


def _from_border(mask: np.ndarray) -> np.ndarray:
    """The pieces of a mask (I,J) that reach its border; pixels hang together by their edges."""
    pieces, count = ndimage.label(mask)
    reaches = np.zeros(count + 1, bool)
    for border in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        reaches[border] = True
    reaches[0] = False
    found: np.ndarray = reaches[pieces]
    return found


def _stored(value: int | bytes, signed: bool) -> int:
    """A 16-bit number of a tag whose sign follows the pixels', which many writers overlook."""
    bits = (int.from_bytes(value[:2], "little") if isinstance(value, bytes) else int(value)) & 0xFFFF
    return bits - 0x10000 if signed and bits >= 0x8000 else bits
