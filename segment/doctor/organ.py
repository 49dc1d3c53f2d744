"""Check the label of each organ: whether it is in pieces, and whether it is cut or truncated."""

from collections.abc import Iterator, Sequence

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.boxes import Box, organ_boxes
from segment.anatomy.structure import cut_faces, voxel_ml
from segment.doctor.finding import Finding, Severity, digits
from segment.io.scan import Scan

SPECK_ML, SPECK_SHARE = 1.0, 0.01  # a piece smaller than both is a stray mark, not a part of the organ
MANY_SPECKS = 5  # a coarse grid breaks a thin part into fewer specks, with little volume in all
# A rounded organ ends in slices much smaller than its largest one: if a ball is cut into ten slices, the first one has
# a fifth of the area of the middle one. The middle of a kidney has 25 cm². Smaller ends may belong to thin organs,
# which can end bluntly.
FLAT_SHARE, FLAT_SLICES, FLAT_CM2 = 0.65, 10, 15.0

_FACES = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "upper", "I": "lower"}


def check_organs(
    case: str, scan: Scan, classes: np.ndarray, organs: Sequence[str], annotated: Sequence[str], anatomy: Anatomy
) -> Iterator[Finding]:
    """Check every annotated organ.

    Args:
        case: The case's id.
        scan: Its CT.
        classes: (I,J,K) class indices.
        organs: Class i is organs[i-1].
        annotated: The organs that the case annotates.
        anatomy: The configured anatomy.
    """
    if not classes.any():
        what = f"the label holds none of {', '.join(annotated)}"
        remedy = "replace the label file, or exclude the case with data.exclude, unless the scan shows none of them"
        yield Finding(case, "empty label", "warning", what, remedy)
        return
    for index, box in enumerate(organ_boxes(classes, len(organs)), start=1):
        organ = organs[index - 1]
        if organ not in annotated:
            continue
        if box is None:
            what = f"{organ} is annotated as absent"
            remedy = "check that it was removed or is outside the scan; otherwise it is learned as background"
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
    ends = [_FACES[face] for face in faces if face in "SI"]
    sides = [_FACES[face] for face in faces if face not in "SI"]
    if ends:
        what = f"{organ} is cut by the {' and '.join(ends)} end of the scan"
        remedy = "keep it if you predict on such scans; its volume is not that of the whole organ"
        yield Finding(case, "cut", "note", what, remedy, organ)
    if sides:
        what = f"{organ} touches the {' and '.join(sides)} border of the field of view"
        remedy = "check that image and label were not cropped or shifted; reconstruct the CT with a larger field"
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
        what = f"{organ} has {len(specks)} separate speck(s), {digits(specks_ml, 2)} mL in all"
        yield Finding(case, "specks", severity, what, "keep the largest piece alone, and delete the others", organ)
    if len(specks) < len(rest):
        what = f"{organ} is in {count - len(specks)} pieces, the second of {digits(rest[0] * one_ml)} mL"
        yield Finding(case, "in pieces", "note", what, "check whether a part is missing between the pieces", organ)


def _check_ends(case: str, organ: str, mask: np.ndarray, scan: Scan, faces: Sequence[str]) -> Iterator[Finding]:
    """Report a label that stops at a slice although the scan continues."""
    axcodes = nib.aff2axcodes(scan.affine)
    axis = next(axis for axis, code in enumerate(axcodes) if code in "SI")
    areas = np.count_nonzero(mask, axis=tuple({0, 1, 2} - {axis}))
    if len(areas) < FLAT_SLICES:
        return
    last_face = axcodes[axis]
    first_face = "I" if last_face == "S" else "S"
    slice_cm2 = 10 * voxel_ml(scan) / float(voxel_sizes(scan.affine)[axis])
    large = max(FLAT_SHARE * areas.max(), FLAT_CM2 / slice_cm2)
    for end, face in ((areas[-1], last_face), (areas[0], first_face)):
        if face not in faces and end > large:
            what = f"the {_FACES[face]} end of {organ} is flat, as if the label stopped before the organ does"
            yield Finding(case, "truncated", "warning", what, "annotate the rest of it, or leave the case out", organ)
