"""Report labels that are slightly off their CT's grid, or stored in another order of voxels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from segment.datasets.annotation import Annotation
from segment.datasets.annotation_files import LabelFile, MaskFiles, SegFile
from segment.datasets.cases import Case
from segment.datasets.split_sides import SplitSides
from segment.doctor.finding import Finding
from segment.io.dicom_seg import max_frame_offset
from segment.io.grid import GRID_TOLERANCE, Grid, axis_along, find_placement
from segment.io.read import read_grid
from segment.io.scan import Scan

ROUNDING_MM = 0.01  # of float32 headers


def without_splits(annotation: Annotation) -> Annotation:
    """Return an annotation as stored in its files, before structures are split into right and left."""
    while isinstance(annotation, SplitSides):
        annotation = annotation.whole
    return annotation


def check_label_grid(case: Case, scan: Scan) -> Iterator[Finding]:
    """Report a label that was reordered to its CT's order of voxels, and one that is off by more than rounding.

    Both are notes. A reordered label is a warning if its header may have left and right exchanged.

    Args:
        case: A case with a label that can be read.
        scan: Its CT.
    """
    label = without_splits(case.label)
    offset_mm = offset_voxels = 0.0
    if isinstance(label, SegFile):
        offset_mm, offset_voxels = max_frame_offset(label.path, scan)
    elif isinstance(label, LabelFile | MaskFiles):
        grids = [read_grid(path) for path in label.files]
        placements = [find_placement(grid, scan.grid) for grid in grids]
        offset_mm = max(placement.offset_mm for placement in placements)
        offset_voxels = max(placement.offset_voxels for placement in placements)
        reordered = [grid for grid, placement in zip(grids, placements, strict=True) if placement.is_reordered]
        if reordered:
            yield _reordered(case.id, reordered, scan.grid)
    if offset_mm > ROUNDING_MM:
        what = f"the label's header places it up to {offset_mm:.2g} mm ({offset_voxels:.2g} voxels) away from its CT"
        yield Finding(case.id, "label grid", "note", what, "nothing to do here: it counts as being on the CT's grid")


def _reordered(case: str, labels: Sequence[Grid], image: Grid) -> Finding:
    """Report labels that are stored in another order than their CT's voxels."""
    orders = ", ".join(sorted({_codes(label.affine) for label in labels}))
    what = f"the label is stored in the voxel order {orders}, its CT in {_codes(image.affine)}"
    if any(_may_be_mirrored(label, image) for label in labels):
        what += "; the field of view is centred, so a label with a mirrored header would be on the CT's grid as well"
        remedy = (
            "look at the case: the label is put into the CT's order; if its liver is then on the patient's left, "
            "negate the first row of the label's affine"
        )
        return Finding(case, "label order", "warning", what, remedy)
    return Finding(case, "label order", "note", what, "nothing to do here: it is put into the CT's order")


def _may_be_mirrored(label: Grid, image: Grid) -> bool:
    """Whether a label is reversed from left to right, and its mirror image would be on the CT's grid without reversal.

    In that case its header may either describe another order or have the wrong sign. A mirrored field of view coincides
    with itself only if it is centred at x = 0. Elsewhere, the wrong sign puts the label off the CT's grid, which is an
    error.
    """
    mirrored = replace(label, affine=np.diag([-1.0, 1, 1, 1]) @ label.affine)
    is_on_grid = find_placement(mirrored, image).offset_voxels <= GRID_TOLERANCE
    return is_on_grid and _is_reversed(label, image) and not _is_reversed(mirrored, image)


def _is_reversed(label: Grid, image: Grid) -> bool:
    """Whether the label's voxels are reversed along the axis of the CT that runs from left to right."""
    across = axis_along(image.affine, 0)
    orientation = find_placement(label, image).orientation
    return bool(orientation[orientation[:, 0] == across, 1] < 0)


def _codes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))
