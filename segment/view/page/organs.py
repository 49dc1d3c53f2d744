"""Rows of the organ table of a page: volume, HU, and whether the scan cuts the organ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.boxes import Box, organ_boxes
from segment.anatomy.structure import cut_faces, voxel_ml
from segment.io.scan import Scan

_ENDS = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "upper", "I": "lower"}


def organ_rows(scan: Scan, mask: np.ndarray, organs: Sequence[str], anatomy: Anatomy) -> list[dict[str, Any]]:
    """Measure every organ of a mask and compare it with the ranges of the anatomy.

    Args:
        scan: The CT.
        mask: (I,J,K) class indices on its grid.
        organs: Class i is organs[i-1].
        anatomy: Plausible volumes and HU.

    Returns:
        For each organ `volume_ml`, `hu_mean` and `hu_sd` (None if it is absent), `cut` (ends of the scan that cut it),
        `range_ml` and `range_hu` (None if the anatomy has none), and `remarks`, sentences on what to check.
    """
    boxes = organ_boxes(mask, len(organs))
    return [_row(scan, mask, organ, index, boxes[index - 1], anatomy) for index, organ in enumerate(organs, start=1)]


def _row(scan: Scan, mask: np.ndarray, organ: str, index: int, box: Box | None, anatomy: Anatomy) -> dict[str, Any]:
    ranges: dict[str, Any] = {
        "range_ml": _range(anatomy.volume_ml.get(organ)),
        "range_hu": _range(anatomy.median_hu.get(organ)),
    }
    if box is None:
        absent: dict[str, Any] = {"volume_ml": 0.0, "hu_mean": None, "hu_sd": None, "cut": []}
        return {"organ": organ, **absent, **ranges, "remarks": ["Not found."]}
    hu = scan.data[box][mask[box] == index]
    cut = [] if organ in anatomy.running_through else [_ENDS[face] for face in cut_faces(scan, box)]
    row = {
        "organ": organ,
        "volume_ml": round(hu.size * voxel_ml(scan), 3),
        "hu_mean": round(float(hu.mean(dtype=np.float64)), 1),
        "hu_sd": round(float(hu.std(dtype=np.float64)), 1),
        "cut": cut,
        **ranges,
    }
    return {**row, "remarks": _remarks(row, float(np.median(hu)))}


def _range(ends: Sequence[float] | None) -> list[float] | None:
    return None if ends is None else list(ends)


def _remarks(row: dict[str, Any], median_hu: float) -> list[str]:
    """What to check about an organ that is present; empty if nothing."""
    remarks = []
    if row["cut"]:
        remarks.append(f"Cut by the {' and '.join(row['cut'])} end of the scan: the volume is that of the rest.")
    if row["range_ml"]:
        low, high = row["range_ml"]
        # A part of an organ may be small.
        if row["volume_ml"] > high or (row["volume_ml"] < low and not row["cut"]):
            remarks.append(f"Volume outside {low:g} to {high:g} mL.")
    if row["range_hu"] and not row["range_hu"][0] <= median_hu <= row["range_hu"][1]:
        remarks.append(f"Median {median_hu:.0f} HU, outside {row['range_hu'][0]:g} to {row['range_hu'][1]:g} HU.")
    return remarks
