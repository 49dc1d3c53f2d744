"""A torso with four organs and no errors, made in milliseconds, and cases with one change."""

import nibabel as nib
import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.doctor.inspect_case import inspect

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
CODES = {"liver": 1, "right_kidney": 2, "left_kidney": 3, "spleen": 4}
ANATOMY = Anatomy(
    volume_ml={"liver": [500, 4500], "right_kidney": [40, 600], "left_kidney": [40, 600], "spleen": [30, 2500]},
    median_hu={"liver": [-40, 250], "spleen": [0, 350]},
    right=["liver", "right_kidney"],
    left=["left_kidney", "spleen"],
    running_through=[],
    centre_mm={
        "liver": [53, 48, 62],
        "right_kidney": [64, 2, -5],
        "left_kidney": [-66, -2, 5],
        "spleen": [-90, 0, 65],
    },
    spread_mm=[20, 25, 30],
)
SHAPE, SPACING = (130, 100, 100), (2.9, 2.9, 3.0)  # 377 x 290 x 300 mm
AFFINE = np.diag([*SPACING, 1.0])
AFFINE[:3, 3] = [-187, -145, -900]
# Centre and radii in mm from the middle of the body, towards right, front and head: 1100, 164, 164 and 264 mL.
PLACES = {
    "liver": ((75, 20, 50), (65, 60, 67)),
    "right_kidney": ((55, -55, -60), (28, 28, 50)),
    "left_kidney": ((-55, -55, -60), (28, 28, 50)),
    "spleen": ((-95, -15, 40), (40, 35, 45)),
}
HU = {"liver": 100, "right_kidney": 180, "left_kidney": 180, "spleen": 120}


def ball(center, radii, shape=SHAPE):
    """Mask of an ellipsoid; centre and radii in mm from the middle of the volume."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    squared = 0
    for axis, n, spacing, middle, radius in zip(grid, shape, SPACING, center, radii, strict=True):
        squared = squared + (((axis - (n - 1) / 2) * spacing - middle) / radius) ** 2
    return squared < 1


def torso(places=PLACES):
    """HU int16 and codes uint8, RAS+, with noise."""
    hu = np.full(SHAPE, -1000.0)
    hu[ball((0, 0, 0), (170, 125, 1e9))] = -100
    hu[ball((0, 0, 0), (150, 105, 1e9))] = 50
    hu[ball((0, -85, 0), (18, 15, 1e9))] = 400  # the spine
    label = np.zeros(SHAPE, np.uint8)
    for organ, (center, radii) in places.items():
        mask = ball(center, radii)
        hu[mask], label[mask] = HU[organ], CODES[organ]
    hu += np.random.default_rng(0).normal(0, 10, SHAPE)
    return hu.astype(np.int16), label


def save(path, data, affine=AFFINE, change=None):
    """Write a NIfTI file with sform and qform in mm; `change` is called with the image first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if change:
        change(image)
    nib.save(image, path)
    return path


def write_case(root, name="a", hu=None, label=None, affine=AFFINE, label_affine=None, change=None):
    """Write a case and return it as `data=folder` would; by default it has no errors."""
    clean = torso() if hu is None or label is None else (hu, label)
    image = save(root / "images" / f"{name}.nii", clean[0] if hu is None else hu, affine, change)
    label_affine = affine if label_affine is None else label_affine
    codes = save(root / "labels" / f"{name}.nii", clean[1] if label is None else label, label_affine)
    return Case(f"set/{name}", f"set/{name}", image, LabelFile(codes, CODES))


def found(case, organs=ORGANS, anatomy=ANATOMY):
    """(severity, check, organ) of all findings."""
    return {(f.severity, f.check, f.organ) for f in inspect(case, organs, anatomy).findings}
