"""What was done about headers that place a label slightly off its CT, or store it in another order."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from segment.datasets.annotation import LabelFile, MaskFiles, SegFile
from segment.datasets.cases import Case
from segment.datasets.split_sides import SplitSides
from segment.doctor.finding import Finding
from segment.io.dicom_seg import frames_away
from segment.io.grid import OFF_GRID, Grid, placement
from segment.io.read import read_grid
from segment.io.scan import Scan

ROUNDING_MM = 0.01  # of float32 headers


def check_label_grid(case: Case, scan: Scan) -> Iterator[Finding]:
    """A note for a label that was put into its CT's order of voxels, and for one that lies off by more than rounding.

    The first is a warning if left and right may be exchanged in the label's header.

    Args:
        case: A case whose label can be read.
        scan: Its CT.
    """
    label = case.label
    while isinstance(label, SplitSides):
        label = label.whole
    away_mm = away_voxels = 0.0
    if isinstance(label, SegFile):
        away_mm, away_voxels = frames_away(label.path, scan)
    elif isinstance(label, LabelFile | MaskFiles):
        grids = [read_grid(path) for path in label.files]
        placed = [placement(grid, scan.grid) for grid in grids]
        away_mm = max(each.away_mm for each in placed)
        away_voxels = max(each.away_voxels for each in placed)
        if turned := [grid for grid, each in zip(grids, placed, strict=True) if each.is_reordered]:
            yield _of_order(case.id, turned, scan.grid)
    if away_mm > ROUNDING_MM:
        what = f"the label's header places it up to {away_mm:.2g} mm ({away_voxels:.2g} voxels) away from its CT"
        yield Finding(case.id, "label grid", "note", what, "nothing to do here: it counts as lying on the CT's grid")


def _of_order(case: str, labels: Sequence[Grid], image: Grid) -> Finding:
    """What to know of labels in another order than their CT's voxels."""
    orders = ", ".join(sorted({_codes(label.affine) for label in labels}))
    what = f"the label is stored in the voxel order {orders}, its CT in {_codes(image.affine)}"
    if any(_may_be_mirrored(label, image) for label in labels):
        what += "; the field of view is centred, so a label whose header mirrors it would lie on the CT's grid as well"
        remedy = (
            "look at the case: the label is put into the CT's order; if its liver then lies on the patient's left, "
            "negate the first row of the label's affine"
        )
        return Finding(case, "label order", "warning", what, remedy)
    return Finding(case, "label order", "note", what, "nothing to do here: it is put into the CT's order")


def _may_be_mirrored(label: Grid, image: Grid) -> bool:
    """Whether a label runs backwards from left to right, but would run forwards on the same grid if mirrored there.

    Its header is then as likely to have the wrong sign as to describe another order. Mirrored about x = 0, a field of
    view lies on itself only if it is centred there; elsewhere the wrong sign places a label off its CT, and is refused.
    """
    mirrored = replace(label, affine=np.diag([-1.0, 1, 1, 1]) @ label.affine)
    placed = placement(mirrored, image)
    return placed.away_voxels <= OFF_GRID and _is_reversed(label, image) and not _is_reversed(mirrored, image)


def _is_reversed(label: Grid, image: Grid) -> bool:
    """Whether the voxels of the label run against the CT's along the CT's axis from left to right."""
    across = int(np.argmax(np.abs(image.affine[0, :3])))
    orientation = placement(label, image).orientation
    return bool(orientation[orientation[:, 0] == across, 1] < 0)


def _codes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))
