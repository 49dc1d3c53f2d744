"""Whether numbers can be Hounsfield units: air is -1000, fat -100, soft tissue 0 to 100 and bone up to 2000."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from segment.io.scan import AIR_BELOW_HU

_FROM_DICOM = "convert the CT again from its original DICOM series, with rescale slope and intercept applied"
LABEL_MAP = "label map"  # the check that finds codes in place of HU
NO_AIR = "no air"
_SAMPLED = 200  # voxels along an axis that suffice to count shares
BODY_HU = (-200, 300)  # fat and soft tissue, with contrast
_SHIFTED_BODY = (824, 1324)  # without the rescale intercept of -1024
NO_AIR_SHARE = 0.01  # of the voxels; every CT in HU has more around the patient
BODY_SHARE = 0.03  # of the voxels; a slim patient in a field of 500 mm fills a fifth
CODES_SHARE = 0.5  # of the voxels that are not 0: those equal to the next one
NORMALISED = 10  # numbers below are shares, or standard deviations; the noise of a CT alone spans more
CLIPPED_LOW, CLIPPED_HIGH = 0.01, 0.0005  # share of voxels at the very lowest or highest number
CLIPPED_BELOW_HU = 1000  # a scale that ends higher loses nothing that soft organs need


class Fault(NamedTuple):
    """A sign that numbers are not Hounsfield units, or only a part of them.

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
    """The first of the signs that the numbers are no HU, or are only a part of them.

    Args:
        hu: (I,J,K) as `read_ct` gives it.
    """
    low, high = float(hu.min()), float(hu.max())
    shown = f"{low:.4g} to {high:.4g}"
    sample = _sample(hu)
    if low == high:
        yield Fault("constant", "error", f"every voxel is {low:g}", "replace the image, which is empty")
    elif impossible := check_possible(hu):
        yield impossible
    elif _is_shifted(hu, sample):
        yield _no_rescale(shown)
    elif _share(sample, 800, np.inf) > max(0.1, _share(sample, -np.inf, -500)):
        what = f"most of the dark is bright: a tenth or more lies above 800 in {shown}; the sign is wrong"
        yield Fault("wrong sign", "error", what, "multiply every voxel by -1")
    elif _share(sample, *BODY_HU) < BODY_SHARE:
        what = f"hardly a voxel between {BODY_HU[0]} and {BODY_HU[1]} HU, where fat and organs are, in {shown}"
        yield Fault("no HU", "error", what, _FROM_DICOM)
    else:
        yield from _check_ends(hu, low, high)


def check_possible(hu: np.ndarray) -> Fault | None:
    """The sign that numbers cannot be HU, whatever the CT shows; None if they can.

    Soft tissue without air or fat can be a CT that was cropped, numbers cut off at a window can be its part of the HU:
    these are for `check_hu` to report.

    Args:
        hu: (I,J,K) as `read_ct` gives it.
    """
    low, high = float(hu.min()), float(hu.max())
    shown = f"{low:.4g} to {high:.4g}"
    if is_label_map(hu):
        return _label_map(low, high)
    if -NORMALISED < low < high < NORMALISED:
        return Fault("no HU", "error", f"numbers from {shown} are normalised, not HU", _FROM_DICOM)
    sample = _sample(hu)
    if _is_picture(sample, low, high):
        return _picture(shown)
    if low >= 0 and _share(sample, *_SHIFTED_BODY) > BODY_SHARE:
        return _no_rescale(shown)
    return None


def is_label_map(values: np.ndarray) -> bool:
    """Whether numbers are codes: none is negative, and along an axis most that are not 0 equal the next one.

    In a CT, air and fat are below 0, and noise makes neighbours differ. An empty mask is a label map, too.

    Args:
        values: (I,J,K).
    """
    if values.min() < 0:
        return False
    coded = np.count_nonzero(values)
    turned = [np.moveaxis(values, axis, 0) for axis in range(3)]
    equal = [np.count_nonzero((v[1:] != 0) & (v[1:] == v[:-1])) for v in turned]
    return bool(max(equal) >= CODES_SHARE * coded)


def _label_map(low: float, high: float) -> Fault:
    what = f"numbers from {low:.4g} to {high:.4g} are codes of a label map, not HU"
    return Fault(LABEL_MAP, "error", what, "give the CT that it was drawn on")


def _is_picture(sample: np.ndarray, low: float, high: float) -> bool:
    """Whether numbers are grey levels from 0, black, which a picture has around the patient, to 255 at the most.

    A crop to soft tissue without fat holds HU from about 0 to 200, but few are 0.
    """
    return low == 0 and high <= 255 and _share(sample, 0, 0) > NO_AIR_SHARE


def _picture(shown: str) -> Fault:
    return Fault("no HU", "error", f"numbers from {shown} are grey levels of a picture, not HU", _FROM_DICOM)


def _sample(hu: np.ndarray) -> np.ndarray:
    return hu[tuple(slice(None, None, -(-n // _SAMPLED)) for n in hu.shape)]


def are_hu(values: np.ndarray) -> bool:
    """Whether numbers (I,J,K) can be HU, as far as `check_hu` can tell."""
    return all(fault.severity != "error" for fault in check_hu(values))


def _no_rescale(shown: str) -> Fault:
    what = f"air near 0, fat and organs near 1024, in {shown}: the rescale intercept is missing"
    return Fault("no rescale", "error", what, "subtract 1024 from every voxel")


def _is_shifted(hu: np.ndarray, sample: np.ndarray) -> bool:
    """Whether air lies near 0 and tissue near 1024, though a few voxels, as of padding, are below 0."""
    has_air = _share(sample, -1200, -700) > NO_AIR_SHARE
    return not has_air and _share(sample, *_SHIFTED_BODY) > BODY_SHARE and -3100 < _edge(hu) < 500


def _edge(hu: np.ndarray) -> float:
    """What is at the edges of the box, where a CT shows air or padding in whatever order its axes are stored."""
    i, j, k = (slice(None, None, max(1, n - 1)) for n in hu.shape)
    return float(np.median(np.concatenate([hu[:, j, k].ravel(), hu[i, :, k].ravel(), hu[i, j].ravel()])))


def _check_ends(hu: np.ndarray, low: float, high: float) -> Iterator[Fault]:
    """Numbers cut off at either end of a window."""
    piled_low = low > AIR_BELOW_HU and bool(np.count_nonzero(hu == low) > CLIPPED_LOW * hu.size)
    piled_high = high < CLIPPED_BELOW_HU and bool(np.count_nonzero(hu == high) > CLIPPED_HIGH * hu.size)
    if piled_low or piled_high:
        what = f"the image was clipped to {low:g} … {high:g}: many voxels hold the very {_ends(piled_low, piled_high)}"
        yield Fault("clipped", "warning", what, "use the CT before it was windowed, or keep window_hu inside")
    elif low > AIR_BELOW_HU:
        what = f"the darkest voxel has {low:g} HU: there is no air"
        yield Fault(NO_AIR, "warning", what, "check that these are HU; a CT that is cropped to the body may stay")


def _ends(low: bool, high: bool) -> str:
    return "lowest or highest number" if low and high else "lowest number" if low else "highest number"


def _share(values: np.ndarray, low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values <= high))) / values.size
