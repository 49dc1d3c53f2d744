"""Volumes and places of organs in standard deviations from the usual ones."""

from collections.abc import Mapping
from itertools import product

import numpy as np
from nibabel.affines import apply_affine

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.fit import WIDTH
from segment.anatomy.structure import Structure
from segment.inference.confidence.body import Features
from segment.io.scan import Scan

NAN = float("nan")
MARGIN_MM = 20.0  # between the end of a scan and the middle of an organ that it shows


def volume_deviation(organ: str, volume_ml: float, anatomy: Anatomy) -> float:
    """Volume on a logarithmic scale, in standard deviations from the middle of the plausible range; ±2 are its ends."""
    if organ not in anatomy.volume_ml:
        return NAN
    low, high = np.log(anatomy.volume_ml[organ])
    return float((np.log(volume_ml) - (low + high) / 2) * WIDTH / (high - low))


def place_deviation(organ: str, own: Structure, others: Mapping[str, Structure], anatomy: Anatomy) -> Features:
    """Position relative to the other organs, in standard deviations to the right, front and up; NaN without others.

    To the right it is that relative to the midline of the body, unless the scan shows only a part of its width.
    """
    if organ not in anatomy.centre_mm:
        return {"right": NAN, "front": NAN, "up": NAN}
    offsets = [_offset(name, one, anatomy) for name, one in others.items() if name in anatomy.centre_mm]
    shift = np.median(offsets, axis=0) if offsets else np.full(3, NAN)
    if not own.off_middle:
        shift[0] = 0
    right, front, up = (_offset(organ, own, anatomy) - shift) / np.array(anatomy.spread_mm)
    return {"right": float(right), "front": float(front), "up": float(up)}


def _offset(organ: str, structure: Structure, anatomy: Anatomy) -> np.ndarray:
    """Measured minus usual position, (3,) in mm."""
    measured = np.array([structure.right_mm, structure.front_mm, structure.up_mm])
    return np.asarray(measured - np.array(anatomy.centre_mm[organ], float))


def oddest(others: Mapping[str, Structure], anatomy: Anatomy) -> Features:
    """The largest deviation of the volume and of the place of the other organs, in standard deviations."""
    volumes, places = [0.0], [0.0]
    for name, one in others.items():
        rest = {other: structure for other, structure in others.items() if other != name}
        if not one.faces:
            volumes.append(abs(volume_deviation(name, one.volume_ml, anatomy)))
        places += map(abs, place_deviation(name, one, rest, anatomy).values())
    return {"others_volume": float(np.nanmax(volumes)), "others_place": float(np.nanmax(places))}


def in_view(organ: str, found: Mapping[str, Structure], scan: Scan, anatomy: Anatomy) -> bool | None:
    """Whether the height at which an organ is expected, given the others, is inside a scan."""
    heights = [_offset(name, one, anatomy)[2] for name, one in found.items() if name in anatomy.centre_mm]
    if organ not in anatomy.centre_mm or not heights:
        return None
    up_mm = anatomy.centre_mm[organ][2] + float(np.median(heights))
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in scan.data.shape))))
    ends = apply_affine(scan.affine, corners)[:, 2]
    return bool(ends.min() + MARGIN_MM <= up_mm <= ends.max() - MARGIN_MM)
