"""Volume, position and brightness of the structures in a label map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine

from segment.anatomy.boxes import Box, organ_boxes
from segment.anatomy.midline import midline_mm
from segment.io.grid import axis_along
from segment.io.hounsfield import are_hu
from segment.io.label_codes import MAX_CODE, MAX_ORGANS
from segment.io.scan import AIR_BELOW_HU, Scan

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_SAMPLED = 64  # voxels along each axis of a structure's box; enough for its centre and its median HU
_SAMPLED_BODY = 60  # voxels along each axis of the CT; enough to find the midline and to recognise HU
_CROPPED = 0.5  # share of body in the outermost plane; arms or the sides of a large patient fill less of it


@dataclass(frozen=True)
class Structure:
    """Measurements of one structure in one case.

    Attributes:
        volume_ml: Its volume.
        right_mm: Distance of its centre from the midline of the body; positive to the right, negative to the left.
        off_middle: Whether the midline is unknown because the CT shows only a part of the body's width.
        front_mm: Coordinate of its centre towards the front (RAS+).
        up_mm: Coordinate of its centre towards the head (RAS+).
        median_hu: Median HU inside it; None if the CT is not in HU.
        faces: Faces of the scan that it touches, as letters of the patient's sides (R, L, A, P, S, I).
    """

    volume_ml: float
    right_mm: float
    off_middle: bool
    front_mm: float
    up_mm: float
    median_hu: float | None
    faces: str

    @property
    def is_cut(self) -> bool:
        """Whether the scan may cut it above or below. Its height and volume are then not those of the organ."""
        return bool(set(self.faces) & set("SI"))


def measure_structures(scan: Scan, label: np.ndarray) -> Mapping[int, Structure]:
    """Measure every positive value that occurs in a label map.

    Args:
        scan: The CT.
        label: (I,J,K) integers on its grid: class indices, or the codes of a file.

    Returns:
        Structure by value. Empty if the label map has more than `MAX_ORGANS` values: it is probably an image.
    """
    highest = min(int(label.max(initial=0)), MAX_CODE)
    if highest < 1:
        return {}
    boxes = organ_boxes(label, highest)
    if len(boxes) - boxes.count(None) > MAX_ORGANS:
        return {}
    hu, affine = _sampled(scan)
    middle, off_middle, in_hu = midline_mm(hu, affine), _is_cropped(scan), are_hu(hu)
    return {
        value: _measure(scan, label, value, box, middle, off_middle, in_hu)
        for value, box in enumerate(boxes, start=1)
        if box is not None
    }


def merge_structures(parts: Sequence[Structure]) -> Structure:
    """Combine the parts of one structure, for example of an organ with several codes.

    Args:
        parts: At least one; they must not overlap.
    """
    total = sum(part.volume_ml for part in parts)

    def mean(values: Sequence[float]) -> float:
        return sum(value * part.volume_ml for value, part in zip(values, parts, strict=True)) / total

    hu = [part.median_hu for part in parts if part.median_hu is not None]
    return Structure(
        volume_ml=total,
        right_mm=mean([part.right_mm for part in parts]),
        off_middle=parts[0].off_middle,
        front_mm=mean([part.front_mm for part in parts]),
        up_mm=mean([part.up_mm for part in parts]),
        median_hu=mean(hu) if len(hu) == len(parts) else None,
        faces="".join(sorted(set("".join(part.faces for part in parts)))),
    )


def cut_faces(scan: Scan, box: Box) -> str:
    """Faces of the scan that a box touches, as letters of the patient's sides (R, L, A, P, S, I)."""
    faces = ""
    for part, count, upper in zip(box, scan.data.shape, nib.aff2axcodes(scan.affine), strict=True):
        if part.start == 0:
            faces += _OPPOSITE[upper]
        if part.stop == count:
            faces += upper
    return faces


def voxel_ml(scan: Scan) -> float:
    """Volume of a voxel in mL."""
    return float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000


def _sampled(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Subsample a CT to at most `_SAMPLED_BODY` voxels along each axis; return the voxels and their affine."""
    steps = [-(-n // _SAMPLED_BODY) for n in scan.data.shape]
    return scan.data[tuple(slice(None, None, step) for step in steps)], scan.affine @ np.diag([*steps, 1.0])


def _is_cropped(scan: Scan) -> bool:
    """Whether the body fills most of the rightmost or leftmost plane, so it probably extends beyond the CT."""
    planes = np.moveaxis(scan.data, axis_along(scan.affine, 0), 0)
    return any(np.count_nonzero(planes[end] > AIR_BELOW_HU) > _CROPPED * planes[end].size for end in (0, -1))


def _measure(
    scan: Scan, label: np.ndarray, value: int, box: Box, middle: float, off_middle: bool, in_hu: bool
) -> Structure:
    inside = label[box] == value
    steps = [-(-n // _SAMPLED) for n in inside.shape]
    sampled = tuple(slice(None, None, step) for step in steps)
    if not inside[sampled].any():  # the structure is so thin that all samples miss it
        steps, sampled = [1, 1, 1], (slice(None),) * 3
    voxels = np.argwhere(inside[sampled]) * steps + [part.start for part in box]
    right, front, up = apply_affine(scan.affine, voxels.mean(axis=0))
    return Structure(
        volume_ml=float(np.count_nonzero(inside)) * voxel_ml(scan),
        right_mm=float(right) - middle,
        off_middle=off_middle,
        front_mm=float(front),
        up_mm=float(up),
        median_hu=float(np.median(scan.data[box][sampled][inside[sampled]])) if in_hu else None,
        faces=cut_faces(scan, box),
    )
