"""CTs and label maps in memory, with the geometry of their files."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.io.grid import Grid, check_same_grid, reorder

log = logging.getLogger(__name__)

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")

# Lung and air (-1000 HU) are below this; the patient, clothes and the table are above. Every CT shows some air, or is
# padded with something darker.
AIR_BELOW_HU = -300


@dataclass(frozen=True)
class Scan:
    """One 3D volume in the order in which its file stores it.

    Attributes:
        data: (I,J,K). A CT is in HU: int16 if that is lossless, otherwise float32. A label map contains integers.
        affine: (4,4) float64, voxel → RAS+ mm. From the sform if its code is set, otherwise from the qform.
        header: Geometry for writing masks: forms, their codes, units. It contains no text from the file's own header.
        shape: Stored shape, for example (I,J,K,1) for a 4D file with one frame.
        is_straightened: Whether the slices were resampled because of a gantry tilt or uneven distances.
        is_oriented: Whether the file states which way its axes run in the body. Otherwise left and right are a guess.
        files: The files it was read from; those of a DICOM series in the order of the slices. Empty for a volume that
            was not read from a file.
    """

    data: np.ndarray
    affine: np.ndarray
    header: nib.Nifti1Header
    shape: tuple[int, ...]
    is_straightened: bool = False
    is_oriented: bool = True
    files: tuple[Path, ...] = ()

    @property
    def grid(self) -> Grid:
        """Positions of the voxels."""
        return Grid(self.data.shape, self.affine, self.is_oriented)


def has_suffix(path: str | Path, *suffixes: str) -> bool:
    """Whether a file name ends in one of the suffixes, ignoring case. The default is the suffixes of volumes."""
    return Path(path).name.lower().endswith(suffixes or SUFFIXES)


def case_name(path: str | Path) -> str:
    """Return a file name without its folder and volume suffix."""
    name = Path(path).name
    for suffix in SUFFIXES:
        if has_suffix(name, suffix):
            return name[: -len(suffix)]
    return name


def as_ct(path: Path, scan: Scan) -> Scan:
    """Return a scan of HU as int16 if that is lossless, otherwise as float32.

    Raises:
        UserError: When a value is not finite.
    """
    values = scan.data
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            msg = f"{path} holds {bad} voxels that are NaN or infinite; replace them, for example by -1024 HU in air"
            raise UserError(msg)
    return replace(scan, data=_as_hu(values))


def warn_if_suspicious(path: Path, scan: Scan) -> None:
    """Log a warning if the axes of a CT are unknown or its values may not be HU. The CT is still used."""
    if not scan.is_oriented:
        log.warning(
            "%s does not state which way its axes run in the body: left and right are a guess; convert it again from "
            "DICOM",
            path,
        )
    if scan.data.min() > AIR_BELOW_HU:
        log.warning(
            "%s has values from %g to %g and no air; check that these are HU", path, scan.data.min(), scan.data.max()
        )


def on_grid_of(label: Scan, image: Scan, label_path: str | Path, image_path: str | Path) -> np.ndarray:
    """Return a label map (I,J,K) on its CT's grid, reordered without loss if it is stored in another order.

    Every label that is stored as a volume is matched to its CT by this function.

    Raises:
        UserError: When the label is on another grid; see `check_same_grid`.
    """
    return reorder(label.data, check_same_grid(label.grid, image.grid, label_path, image_path))


def geometry_header(shape: tuple[int, ...], affine: np.ndarray, is_oriented: bool = True) -> nib.Nifti1Header:
    """Return a NIfTI header for a scan in another format.

    Args:
        shape: Stored shape.
        affine: (4,4) voxel → RAS+ mm.
        is_oriented: Whether the directions of the axes in the body are known. If so, the forms' codes are 1, for the
            scanner's coordinates. If not, they are 2 (`NIFTI_XFORM_ALIGNED_ANAT`, "coordinates aligned to another
            file's"), because a mask is only known to be aligned with its scan. With code 0, readers would ignore the
            affine.
    """
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header.set_xyzt_units("mm")
    code = 1 if is_oriented else 2
    header.set_sform(affine, code)
    header.set_qform(affine, code)
    return header


def _as_hu(values: np.ndarray) -> np.ndarray:
    """Return the same numbers as int16 if that is lossless, otherwise as float32."""
    if values.min() >= -(2**15) and values.max() < 2**15:
        whole = values.astype(np.int16, copy=False)
        if whole is values or np.array_equal(whole, values):
            return whole
    return values.astype(np.float32, copy=False)
