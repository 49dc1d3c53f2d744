"""A small scan for pages, of which every side can be told from the others."""

import nibabel as nib
import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.io.scan import Scan, geometry_header
from segment.view.page.prediction import PredictionPage

ORGANS = ["liver", "spleen"]
SHAPE = (48, 40, 20)
SPACING_MM = (2.0, 2.0, 5.0)
LIVER = np.s_[28:44, 16:32, 8:18]  # of the RAS+ grid: on the patient's right, in front, above


def anatomy(**volume_ml):
    return Anatomy(
        volume_ml={"liver": [500, 4500], **volume_ml},
        median_hu={"liver": [-40, 250]},
        right=["liver"],
        left=["spleen"],
        running_through=[],
        centre_mm={},
        spread_mm=[20, 25, 30],
    )


def viewed_scan(affine=None, codes="RAS"):
    """The scan, its mask and a reference that is moved by two voxels, stored in the order of some axes.

    The first axis of the grid runs from the left to the right. The liver has 100 HU, the spleen 150, the rest -50, air
    around it -1000.
    """
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:44, 4:36, :] = -50
    mask = np.zeros(SHAPE, np.uint8)
    mask[LIVER] = 1
    mask[6:12, 8:16, 10:16] = 2
    hu[mask == 1], hu[mask == 2] = 100, 150
    reference = np.roll(mask, 2, axis=1)
    affine = np.diag([*SPACING_MM, 1.0]) if affine is None else affine
    change = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    hu, mask, reference = (nib.orientations.apply_orientation(one, change) for one in (hu, mask, reference))
    affine = affine @ nib.orientations.inv_ornt_aff(change, SHAPE)
    scan = Scan(np.ascontiguousarray(hu), affine, geometry_header(hu.shape, affine), hu.shape)
    return scan, np.ascontiguousarray(mask), np.ascontiguousarray(reference)


def prediction(path, codes="RAS", name="p1/ct", organs=ORGANS, affine=None, with_reference=True):
    """Write the page of the scan, and return its path."""
    made = PredictionPage(organs, anatomy(), max_mb=100)
    scan, mask, reference = viewed_scan(affine, codes)
    made.add(name, scan, mask, reference if with_reference else None)
    made.write(path, "Prediction masks", "1 CT; starter.ckpt")
    return path
