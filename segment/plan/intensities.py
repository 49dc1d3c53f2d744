"""HU window and normalisation."""

import math
from collections.abc import Sequence

import numpy as np

from segment.plan.fingerprint import Fingerprint
from segment.plan.recipe import Line

WINDOW = (-160, 240)  # of conf/preprocess/ct.yaml, about a radiologist's window for the abdomen
WIDEST = (-250, 400)  # beyond it are lungs and bone
BODY_HU, DEVIATION_HU = 0.0, 120.0  # of the windowed body in abdominal CTs, as in conf/preprocess/ct.yaml
RESAMPLE = "segment.preprocess.resample.Resample"
WINDOW_HU = "segment.preprocess.normalize.WindowHU"
STANDARDIZE = "segment.preprocess.normalize.Standardize"


def intensity_lines(facts: Fingerprint) -> list[Line]:
    """The preprocessing; a remark if the HU of the data set's organs are not known."""
    if facts.organ_hu is None:
        return [Line("", None, "preprocess: that of conf/preprocess/ct.yaml, because the HU of this set are not known")]
    low, high = window(*facts.organ_hu)
    mean, deviation = _statistics(facts.body_hu, low, high)
    body = "in these CTs" if facts.body_hu else f"in abdominal CTs, {BODY_HU:g} and {DEVIATION_HU:g} HU"
    reason = (
        f"99 % of the organs' voxels have {facts.organ_hu[0]:g} to {facts.organ_hu[1]:g} HU; the window holds them and "
        f"at least {WINDOW[0]} to {WINDOW[1]}, so that fat around an organ is not cut off. Mean and standard deviation "
        f"are those of the windowed body {body}"
    )
    transforms = [
        {"_target_": "torchio.ToCanonical"},
        {"_target_": RESAMPLE, "spacing_mm": "${spacing_mm}"},
        {"_target_": WINDOW_HU, "window_hu": [low, high]},
        {"_target_": STANDARDIZE, "mean": mean, "std": deviation},
    ]
    return [Line("preprocess.transforms", transforms, reason)]


def window(low: float, high: float) -> tuple[int, int]:
    """Window in HU for organs between two percentiles, in tens."""
    lower = min(WINDOW[0], max(WIDEST[0], 10 * math.floor(low / 10)))
    upper = max(WINDOW[1], min(WIDEST[1], 10 * math.ceil(high / 10)))
    return lower, upper


def _statistics(body_hu: Sequence[float] | None, low: float, high: float) -> tuple[float, float]:
    """Mean and standard deviation of the body after windowing to [0, 1]; of a usual body if its HU are not known."""
    if body_hu is None:
        return round((BODY_HU - low) / (high - low), 2), round(DEVIATION_HU / (high - low), 2)
    scaled = np.clip((np.array(body_hu) - low) / (high - low), 0, 1)
    return round(float(scaled.mean()), 2), round(max(0.05, float(scaled.std())), 2)
