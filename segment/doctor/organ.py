"""Each organ's label by itself: pieces, and where it is cut."""

from collections.abc import Iterator, Sequence

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.boxes import Box, organ_boxes
from segment.anatomy.place import cut_faces, voxel_ml
from segment.doctor.finding import Finding, Severity
from segment.io.scan import Scan

SPECK_ML, SPECK_SHARE = 1.0, 0.01  # a piece below both is a slip of the pen, not a part of the organ
MANY_SPECKS = 5  # fewer, and little in all, are what a coarse grid leaves of a thin part
# A rounded body ends in slices much smaller than its largest. The first slice of a ball cut into ten has a fifth of
# the area of the middle one. A kidney's middle has 25 cm²; small ends are those of thin organs, which may be blunt.
FLAT_SHARE, FLAT_SLICES, FLAT_CM2 = 0.65, 10, 15.0

_FACES = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "upper", "I": "lower"}


def check_organs(
    case: str, scan: Scan, classes: np.ndarray, organs: Sequence[str], annotated: Sequence[str], anatomy: Anatomy
) -> Iterator[Finding]:
    """Judge every annotated organ.

    Args:
        case: The case's id.
        scan: Its CT.
        classes: (I,J,K) class indices.
        organs: Class i is organs[i-1].
        annotated: Those that the case's annotation knows.
        anatomy: What is plausible.
    """
    if not classes.any():
        what = f"the label holds none of {', '.join(annotated)}"
        remedy = "replace the label file, or leave the case out by data.exclude, unless the scan shows none of them"
        yield Finding(case, "empty label", "warning", what, remedy)
        return
    for index, box in enumerate(organ_boxes(classes, len(organs)), start=1):
        organ = organs[index - 1]
        if organ not in annotated:
            continue
        if box is None:
            what = f"{organ} is annotated as absent"
            remedy = "check that it was taken out, or lies outside of the scan; else it counts as background"
            yield Finding(case, "absent", "note", what, remedy, organ)
        else:
            yield from _check_organ(case, scan, classes[box] == index, box, organ, anatomy)


def _check_organ(case: str, scan: Scan, mask: np.ndarray, box: Box, organ: str, anatomy: Anatomy) -> Iterator[Finding]:
    faces = cut_faces(scan, box)
    if organ not in anatomy.running_through:
        yield from _check_faces(case, organ, faces)
        yield from _check_ends(case, organ, mask, scan, faces)
    yield from _check_pieces(case, organ, mask, voxel_ml(scan))


def _check_faces(case: str, organ: str, faces: Sequence[str]) -> Iterator[Finding]:
    if ends := [_FACES[face] for face in faces if face in "SI"]:
        what = f"{organ} is cut by the {' and '.join(ends)} end of the scan"
        remedy = "keep it if predictions will meet such scans; its volume is not the organ's"
        yield Finding(case, "cut", "note", what, remedy, organ)
    if sides := [_FACES[face] for face in faces if face not in "SI"]:
        what = f"{organ} touches the {' and '.join(sides)} border of the field of view"
        remedy = "check that image and label were not cropped or shifted; load_model the CT with a larger field"
        yield Finding(case, "at the border", "warning", what, remedy, organ)


def _check_pieces(case: str, organ: str, mask: np.ndarray, one_ml: float) -> Iterator[Finding]:
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count == 1:
        return
    sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1]
    rest = sizes[1:]
    specks = rest[(rest * one_ml < SPECK_ML) & (rest < SPECK_SHARE * sizes[0])]
    if len(specks):
        specks_ml = specks.sum() * one_ml
        severity: Severity = "warning" if len(specks) >= MANY_SPECKS or specks_ml >= SPECK_ML else "note"
        what = f"{organ} has {len(specks)} speck(s) apart from it, {specks_ml:.2g} mL in all"
        yield Finding(case, "specks", severity, what, "keep the largest piece alone, and delete the others", organ)
    if len(specks) < len(rest):
        what = f"{organ} lies in {count - len(specks)} pieces, the second of {rest[0] * one_ml:.3g} mL"
        yield Finding(case, "in pieces", "note", what, "look whether a part is missing between the pieces", organ)


def _check_ends(case: str, organ: str, mask: np.ndarray, scan: Scan, faces: Sequence[str]) -> Iterator[Finding]:
    """Labels that stop at a slice although the scan goes on."""
    axcodes = nib.aff2axcodes(scan.affine)
    axis = next(axis for axis, code in enumerate(axcodes) if code in "SI")
    areas = np.count_nonzero(mask, axis=tuple({0, 1, 2} - {axis}))
    if len(areas) < FLAT_SLICES:
        return
    upper = axcodes[axis]
    slice_cm2 = 10 * voxel_ml(scan) / float(voxel_sizes(scan.affine)[axis])
    large = max(FLAT_SHARE * areas.max(), FLAT_CM2 / slice_cm2)
    for end, face in ((areas[-1], upper), (areas[0], "I" if upper == "S" else "S")):
        if face not in faces and end > large:
            what = f"the {_FACES[face]} end of {organ} is flat, as if the label stopped before the organ does"
            yield Finding(case, "truncated", "warning", what, "draw the rest of it, or leave the case out", organ)
