"""A tiny synthetic CT with four organs, as arrays, NIfTI and DICOM."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813

SHAPE = (24, 20, 16)
SPACING_MM = (3.0, 3.0, 5.0)
# In RAS+ the first axis runs from the patient's left to the right: the liver has the high indices.
BOXES = {
    "liver": np.s_[13:22, 8:16, 8:14],
    "right_kidney": np.s_[14:18, 3:7, 2:7],
    "left_kidney": np.s_[5:9, 3:7, 3:8],
    "spleen": np.s_[2:6, 4:9, 9:14],
}
HU = {"liver": 110, "right_kidney": 180, "left_kidney": 180, "spleen": 130}


@dataclass(frozen=True)
class Volume:
    """A CT and its structures, on the RAS+ grid of `AFFINE`.

    Attributes:
        hu: (24,20,16) int16.
        masks: Mask of each structure, (24,20,16) bool.
    """

    hu: np.ndarray
    masks: dict[str, np.ndarray]


AFFINE = np.diag([*SPACING_MM, 1.0])


def volume(number: int) -> Volume:
    """The CT with a number. Odd numbers are moved by one voxel; each has other noise."""
    hu = np.random.default_rng(number).normal(-50, 10, SHAPE)
    masks = {}
    for name, box in BOXES.items():
        mask = np.zeros(SHAPE, bool)
        mask[box] = True
        masks[name] = np.roll(mask, number % 2, axis=1)
        hu[masks[name]] += HU[name] + 50
    return Volume(hu.astype(np.int16), masks)


def codes_of(found: Volume, codes: dict[str, int]) -> np.ndarray:
    """Label map (24,20,16) uint8 with each structure's code."""
    label = np.zeros(SHAPE, np.uint8)
    for name, code in codes.items():
        label[found.masks[name]] = code
    return label


def nifti(data: np.ndarray) -> bytes:
    return gzip.compress(nib.Nifti1Image(data, AFFINE).to_bytes(), compresslevel=1, mtime=0)


def slices_of(found: Volume) -> list[tuple[bytes, bytes]]:
    """DICOM file and picture (255: liver) of each slice, from head to feet, so names are in the reverse order of z."""
    lps = np.s_[::-1, ::-1, :]  # DICOM's first two axes run to the left and to the back
    hu, liver = (np.ascontiguousarray(a[lps].T) for a in (found.hu, found.masks["liver"]))  # (K,J,I)
    corner = [-(SHAPE[0] - 1) * SPACING_MM[0], -(SHAPE[1] - 1) * SPACING_MM[1]]  # LPS of the first voxel
    found_slices = []
    with TemporaryDirectory() as folder:
        for k in reversed(range(SHAPE[2])):
            image = sitk.GetImageFromArray(hu[k][None])
            image.SetSpacing(SPACING_MM)
            tags = {
                "0008|0060": "CT",
                "0020|000d": "1.2.3",
                "0020|000e": "1.2.3.4",
                "0020|0013": str(SHAPE[2] - k),
                "0020|0032": f"{corner[0]}\\{corner[1]}\\{k * SPACING_MM[2]}",
                "0020|0037": "1\\0\\0\\0\\1\\0",
                "0018|0050": str(SPACING_MM[2]),
                "0028|1052": "0",
                "0028|1053": "1",
            }
            for tag, value in tags.items():
                image.SetMetaData(tag, value)
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetFileName(f"{folder}/x.dcm")
            writer.Execute(image)
            sitk.WriteImage(sitk.GetImageFromArray(liver[k].astype(np.uint8) * 255), f"{folder}/x.png")
            found_slices.append(((Path(folder) / "x.dcm").read_bytes(), (Path(folder) / "x.png").read_bytes()))
    return found_slices
