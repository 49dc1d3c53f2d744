"""A small labelled trunk: a CT whose organs have the tissues' usual HU, as arrays and as files."""

from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE, SPACING_MM = (64, 48, 40), (6.0, 6.0, 7.0)
AFFINE = np.diag([*SPACING_MM, 1.0])
CODES = {"liver": 1, "right_kidney": 2, "left_kidney": 3, "spleen": 4, "aorta": 5}
HU = {"liver": 105, "right_kidney": 170, "left_kidney": 170, "spleen": 115, "aorta": 155}
# Centre and radii in mm from the middle, towards right, front and head.
PLACES = {
    "liver": ((75, 20, 40), (65, 60, 60)),
    "right_kidney": ((55, -50, -60), (28, 28, 45)),
    "left_kidney": ((-55, -50, -60), (28, 28, 45)),
    "spleen": ((-100, -15, 40), (32, 35, 45)),
    "aorta": ((-10, -45, 0), (11, 11, 1e9)),
}


def ball(center: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Mask of an ellipsoid."""
    squared = np.zeros(SHAPE)
    for axis, n, spacing, middle, radius in zip(
        np.ogrid[tuple(map(slice, SHAPE))], SHAPE, SPACING_MM, center, radii, strict=True
    ):
        squared = squared + (((axis - (n - 1) / 2) * spacing - middle) / radius) ** 2
    return squared < 1


def trunk(organs: tuple[str, ...] = tuple(CODES)) -> tuple[np.ndarray, np.ndarray]:
    """HU int16 and codes uint8, RAS+: skin, fat, muscle, a spine and the organs; only the named ones are labelled."""
    hu = np.full(SHAPE, -1000.0)
    hu[ball((0, 0, 0), (160, 118, 1e9))] = -100
    hu[ball((0, 0, 0), (142, 102, 1e9))] = 55
    hu[ball((0, 5, 0), (128, 88, 1e9))] = -100
    hu[ball((0, -80, 0), (22, 18, 1e9))] = 450
    hu[ball((0, -80, 0), (15, 11, 1e9))] = 180  # marrow
    label = np.zeros(SHAPE, np.uint8)
    for organ, place in PLACES.items():
        mask = ball(*place)
        hu[mask] = HU[organ]
        label[mask] = CODES[organ] if organ in organs else 0
    hu += np.random.default_rng(0).normal(0, 8, SHAPE)
    return hu.astype(np.int16), label


def save(path: Path, volume: np.ndarray) -> None:
    """Write a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(volume, AFFINE), path)


def write(root: Path, *names: str, organs: tuple[str, ...] = tuple(CODES), shift: int = 0) -> None:
    """Write cases in the layout of `data=folder`. Their HU differ by 1, beginning with `shift`."""
    hu, label = trunk(organs)
    for number, name in enumerate(names, start=shift):
        save(root / "images" / f"{name}.nii.gz", hu + np.int16(number))
        save(root / "labels" / f"{name}.nii.gz", label)
