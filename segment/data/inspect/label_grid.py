"""What was done about headers that place a label slightly off its CT, or store it in another order."""

from collections.abc import Iterator

import nibabel as nib
import numpy as np

from segment.data.annotation import LabelFile, MaskFiles, SegFile
from segment.data.cases import Case
from segment.data.inspect.finding import Finding
from segment.data.readers.dicom_seg import frames_away
from segment.data.readers.grid import placement
from segment.data.readers.read import read_grid
from segment.data.readers.scan import Scan
from segment.data.sides import SplitSides

ROUNDING_MM = 0.01  # of float32 headers


def check_label_grid(case: Case, scan: Scan) -> Iterator[Finding]:
    """A note for a label that was put into its CT's order of voxels, and for one that lies off by more than rounding.

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
        orders = {_codes(grid.affine) for grid, each in zip(grids, placed, strict=True) if each.is_reordered}
        if orders:
            what = (
                f"the label is stored in the voxel order {', '.join(sorted(orders))}, its CT in {_codes(scan.affine)}"
            )
            yield Finding(case.id, "label order", "note", what, "nothing to do here: it is put into the CT's order")
    if away_mm > ROUNDING_MM:
        what = f"the label's header places it up to {away_mm:.2g} mm ({away_voxels:.2g} voxels) away from its CT"
        yield Finding(case.id, "label grid", "note", what, "nothing to do here: it counts as lying on the CT's grid")


def _codes(affine: np.ndarray) -> str:
    return "".join(nib.aff2axcodes(affine))
