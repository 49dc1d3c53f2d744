"""Check whether numbers can be Hounsfield units: air is -1000, fat -100, soft tissue 0 to 100 and bone up to 2000."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from segment.io.scan import AIR_BELOW_HU

_FROM_DICOM = "convert the CT again from its original DICOM series, with rescale slope and intercept applied"
LABEL_MAP = "label map"  # the check that finds codes instead of HU
NO_AIR = "no air"
_SAMPLED = 200  # voxels along an axis; enough to estimate shares
BELOW_AIR_HU = -1200  # lower than air with noise
BODY_HU = (-200, 300)  # fat and soft tissue, with contrast
_SHIFTED_BODY = (824, 1324)  # the same without the rescale intercept of -1024
NO_AIR_SHARE = 0.01  # of all voxels; every CT in HU has more air around the patient
BODY_SHARE = 0.03  # of all voxels; a slim patient in a field of 500 mm fills a fifth
CODES_SHARE = 0.5  # of the voxels other than 0: those that equal the next voxel
NORMALISED = 10  # smaller numbers are shares or standard deviations; the noise of a CT alone has a wider range
CLIPPED_LOW, CLIPPED_HIGH = 0.01, 0.0005  # share of voxels with exactly the lowest or highest number
CLIPPED_BELOW_HU = 1000  # clipping above this loses nothing that soft organs need


class Fault(NamedTuple):
    """A sign that numbers are not Hounsfield units, or only part of their range.

    Attributes:
        check: What was checked, in one or two words.
        severity: An error if the numbers cannot be used as HU.
        what: What is wrong, with the values.
        remedy: How to fix it, one imperative sentence.
    """

    check: str
    severity: Literal["error", "warning"]
    what: str
    remedy: str


def check_hu(hu: np.ndarray) -> Iterator[Fault]:
    """Yield the first sign that the numbers are not HU, or only part of their range. Yield nothing if there is none.

    Args:
        hu: (I,J,K), as returned by `read_ct`.
    """
    low, high = float(hu.min()), float(hu.max())
    span = f"{low:.4g} to {high:.4g}"
    if low == high:
        yield Fault("constant", "error", f"every voxel is {low:g}", "replace the image, which is empty")
        return
    impossible = check_possible(hu)
    if impossible is not None:
        yield impossible
        return
    sample = _sample(hu)
    if _is_shifted(hu, sample):
        yield _no_rescale(span)
    elif _share(sample, 800, np.inf) > max(0.1, _share(sample, -np.inf, -500)):
        what = f"values are {span}, more than a tenth above 800 and fewer below -500: the sign is wrong"
        yield Fault("wrong sign", "error", what, "multiply every voxel by -1")
    elif _share(sample, *BODY_HU) < BODY_SHARE:
        what = f"values are {span}, almost none from {BODY_HU[0]} to {BODY_HU[1]} HU, the range of fat and organs"
        yield Fault("no HU", "error", what, _FROM_DICOM)
    else:
        yield from _check_ends(hu, low, high)


def check_possible(hu: np.ndarray) -> Fault | None:
    """Return the sign that the numbers cannot be HU, whatever the CT shows. Return None if they can be HU.

    Some CTs in HU look unusual: one that is cropped to soft tissue has no air and no fat, and one that is clipped to a
    window has only part of the range. `check_hu` reports these.

    Args:
        hu: (I,J,K), as returned by `read_ct`.
    """
    low, high = float(hu.min()), float(hu.max())
    span = f"{low:.4g} to {high:.4g}"
    sample = _sample(hu)
    # Padding may lie below air, as the lowest number. Other numbers there are not HU.
    below_air = (sample > low) & (sample < BELOW_AIR_HU)
    if high <= AIR_BELOW_HU and np.count_nonzero(below_air) < NO_AIR_SHARE * sample.size:
        what = f"numbers from {span} are all those of air"
        return Fault("only air", "error", what, "give a CT that shows a body")
    if is_label_map(hu):
        what = f"numbers from {span} are codes of a label map, not HU"
        return Fault(LABEL_MAP, "error", what, "give the CT that it annotates")
    if -NORMALISED < low < high < NORMALISED:
        return Fault("no HU", "error", f"numbers from {span} are normalised, not HU", _FROM_DICOM)
    if _is_picture(sample, low, high):
        return Fault("no HU", "error", f"numbers from {span} are grey levels of a picture, not HU", _FROM_DICOM)
    if low >= 0 and _share(sample, *_SHIFTED_BODY) > BODY_SHARE:
        return _no_rescale(span)
    return None


def is_label_map(values: np.ndarray) -> bool:
    """Whether numbers are codes: none is negative, and along some axis most nonzero ones equal the next voxel.

    In a CT, air and fat are below 0, and noise makes neighbours differ. An empty mask counts as a label map.

    Args:
        values: (I,J,K).
    """
    if values.min() < 0:
        return False
    most_equal = 0
    for axis in range(3):
        along = np.moveaxis(values, axis, 0)
        equal = int(np.count_nonzero((along[1:] != 0) & (along[1:] == along[:-1])))
        most_equal = max(most_equal, equal)
    return bool(most_equal >= CODES_SHARE * np.count_nonzero(values))


def are_hu(values: np.ndarray) -> bool:
    """Whether `check_hu` finds no error in the numbers (I,J,K)."""
    return all(fault.severity != "error" for fault in check_hu(values))


def _is_picture(sample: np.ndarray, low: float, high: float) -> bool:
    """Whether numbers are grey levels: 0 is black, which surrounds the patient, and the highest is at most 255.

    HU of soft tissue without fat, in a cropped CT, also range from about 0 to 200, but few of them are exactly 0.
    """
    return low == 0 and high <= 255 and _share(sample, 0, 0) > NO_AIR_SHARE


def _no_rescale(span: str) -> Fault:
    what = f"values are {span}, air near 0, fat and organs near 1024: the rescale intercept is missing"
    return Fault("no rescale", "error", what, "subtract 1024 from every voxel")


def _is_shifted(hu: np.ndarray, sample: np.ndarray) -> bool:
    """Whether air is near 0 and tissue near 1024. A few voxels, for example padding, may be below 0."""
    has_air = _share(sample, BELOW_AIR_HU, -700) > NO_AIR_SHARE
    return not has_air and _share(sample, *_SHIFTED_BODY) > BODY_SHARE and -3100 < _median_of_edges(hu) < 500


def _median_of_edges(hu: np.ndarray) -> float:
    """Return the median along the twelve edges of the box, where a CT shows air or padding in any order of axes."""
    i, j, k = (slice(None, None, max(1, n - 1)) for n in hu.shape)
    return float(np.median(np.concatenate([hu[:, j, k].ravel(), hu[i, :, k].ravel(), hu[i, j].ravel()])))


def _check_ends(hu: np.ndarray, low: float, high: float) -> Iterator[Fault]:
    """Report numbers that were clipped to a window, or the absence of air."""
    clipped_low = low > AIR_BELOW_HU and bool(np.count_nonzero(hu == low) > CLIPPED_LOW * hu.size)
    clipped_high = high < CLIPPED_BELOW_HU and bool(np.count_nonzero(hu == high) > CLIPPED_HIGH * hu.size)
    if clipped_low or clipped_high:
        what = f"the image was clipped to {low:g} … {high:g}: many voxels have {_ends(clipped_low, clipped_high)}"
        yield Fault("clipped", "warning", what, "use the CT before it was windowed, or keep window_hu inside")
    elif low > AIR_BELOW_HU:
        what = f"the darkest voxel has {low:g} HU: there is no air"
        yield Fault(NO_AIR, "warning", what, "check that these are HU; a CT that is cropped to the body may stay")


def _ends(low: bool, high: bool) -> str:
    if low and high:
        return "exactly the lowest or highest number"
    return "exactly the lowest number" if low else "exactly the highest number"


def _sample(hu: np.ndarray) -> np.ndarray:
    return hu[tuple(slice(None, None, -(-n // _SAMPLED)) for n in hu.shape)]


def _share(values: np.ndarray, low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high))) / values.size
