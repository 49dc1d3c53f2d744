"""Size, place and brightness of everything that a label map holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from segment.anatomy.boxes import Box
from segment.anatomy.midline import midline_mm
from segment.io.hounsfield import are_hu
from segment.io.label_codes import MAX_CODE, MAX_ORGANS
from segment.io.scan import AIR_BELOW_HU, Scan

_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_SAMPLED = 64  # voxels along an axis of an organ's box; these suffice for its centre and its median
_SAMPLED_BODY = 60  # voxels along an axis of the CT; these suffice for its middle and to know HU
_CROPPED = 0.5  # share of the outermost plane that is body; the arms or the sides of a large patient fill less of it


@dataclass(frozen=True)
class Place:
    """One structure of one case.

    Attributes:
        volume_ml: Its volume.
        right_mm: How far its centre lies to the right of the body's middle; negative: to the left.
        off_middle: Whether that middle is unknown, because the CT was cropped to a part of the body.
        front_mm: Coordinate of its centre towards the front (RAS+).
        up_mm: Coordinate of its centre towards the head (RAS+).
        median_hu: Median inside of it; None when the CT is not in HU.
        faces: Faces of the scan that it touches, by the patient's side (letters R, L, A, P, S, I).
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
        """Whether the scan ends in it, above or below: its height and volume are then not the organ's."""
        return bool(set(self.faces) & set("SI"))


def places(scan: Scan, label: np.ndarray) -> Mapping[int, Place]:
    """Place of every value of a label map that occurs, 0 (background) and negative ones left out.

    More than `MAX_ORGANS` values are no codes, but an image: the result is empty.

    Args:
        scan: The CT.
        label: (I,J,K) integers on its grid: class indices, or the codes of a file.
    """
    highest = min(int(label.max(initial=0)), MAX_CODE)
    if highest < 1:
        return {}
    # Files store the first axis fastest, SciPy goes along the last: turned over, it takes an eighth of the time.
    boxes = ndimage.find_objects(label.T, max_label=highest)
    if len(boxes) - boxes.count(None) > MAX_ORGANS:
        return {}
    hu, affine = _sampled(scan)
    middle, off_middle, in_hu = midline_mm(hu, affine), _is_cropped(scan), are_hu(hu)
    return {
        value: _place(scan, label, value, (box[2], box[1], box[0]), middle, off_middle, in_hu)
        for value, box in enumerate(boxes, start=1)
        if box is not None
    }


def together(parts: Sequence[Place]) -> Place:
    """Place of a structure of several codes, at least one: parts that do not overlap."""
    total = sum(part.volume_ml for part in parts)

    def mean(values: Sequence[float]) -> float:
        return sum(value * part.volume_ml for value, part in zip(values, parts, strict=True)) / total

    hu = [part.median_hu for part in parts if part.median_hu is not None]
    return Place(
        volume_ml=total,
        right_mm=mean([part.right_mm for part in parts]),
        off_middle=parts[0].off_middle,
        front_mm=mean([part.front_mm for part in parts]),
        up_mm=mean([part.up_mm for part in parts]),
        median_hu=mean(hu) if len(hu) == len(parts) else None,
        faces="".join(sorted({face for part in parts for face in part.faces})),
    )


def cut_faces(scan: Scan, box: Box) -> str:
    """Faces of the scan, by the patient's side (letters R, L, A, P, S, I), that a box touches."""
    faces = ""
    for part, count, upper in zip(box, scan.data.shape, nib.aff2axcodes(scan.affine), strict=True):
        faces += _OPPOSITE[upper] * (part.start == 0) + upper * (part.stop == count)
    return faces


def voxel_ml(scan: Scan) -> float:
    """Volume of a voxel."""
    return float(abs(np.linalg.det(scan.affine[:3, :3]))) / 1000


def _sampled(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Every so many voxels of a CT, and the affine of these."""
    steps = [-(-n // _SAMPLED_BODY) for n in scan.data.shape]
    return scan.data[tuple(slice(None, None, step) for step in steps)], scan.affine @ np.diag([*steps, 1.0])


def _is_cropped(scan: Scan) -> bool:
    """Whether the body goes on beyond the right or the left end of a CT."""
    planes = np.moveaxis(scan.data, int(np.argmax(np.abs(scan.affine[0, :3]))), 0)
    return any(np.count_nonzero(planes[end] > AIR_BELOW_HU) > _CROPPED * planes[end].size for end in (0, -1))


def _place(scan: Scan, label: np.ndarray, value: int, box: Box, middle: float, off_middle: bool, in_hu: bool) -> Place:
    inside = label[box] == value
    steps = [-(-n // _SAMPLED) for n in inside.shape]
    few = tuple(slice(None, None, step) for step in steps)
    if not inside[few].any():  # thin parts between the samples
        steps, few = [1, 1, 1], (slice(None),) * 3
    voxels = np.argwhere(inside[few]) * steps + [part.start for part in box]
    right, front, up = apply_affine(scan.affine, voxels.mean(axis=0))
    return Place(
        volume_ml=float(np.count_nonzero(inside)) * voxel_ml(scan),
        right_mm=float(right) - middle,
        off_middle=off_middle,
        front_mm=float(front),
        up_mm=float(up),
        median_hu=float(np.median(scan.data[box][few][inside[few]])) if in_hu else None,
        faces=cut_faces(scan, box),
    )
