"""CTs and label maps: any stored geometry in, masks with exactly that geometry out."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.files import atomic_write
from segment.io.grid import Grid, check_placed, reordered

log = logging.getLogger(__name__)

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")

# Below: lung and air, which is -1000 HU; every CT shows some, or fills it in darker. Above: patient, clothes and table.
AIR_BELOW_HU = -300


@dataclass(frozen=True)
class Scan:
    """One 3D volume in the order in which its file stores it.

    Attributes:
        data: (I,J,K). A CT is in HU: int16 where that loses nothing, else float32. A label map holds integers.
        affine: (4,4) float64, voxel → RAS+ mm; from the sform where its code is set, else from the qform.
        header: Geometry to write masks with (forms, their codes, units); it carries no text of the file's own header.
        shape: Stored shape; that of a 4D file with one frame is (I,J,K,1).
        is_straightened: Whether the files lie on another grid, with a gantry tilt or uneven slice distances.
        is_oriented: Whether the file states which way its axes run in the body; else left and right are a guess.
    """

    data: np.ndarray
    affine: np.ndarray
    header: nib.Nifti1Header
    shape: tuple[int, ...]
    is_straightened: bool = False
    is_oriented: bool = True

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return Grid(self.data.shape, self.affine, self.is_oriented)


def has_suffix(path: str | Path, *suffixes: str) -> bool:
    """Whether a file's name ends in one of the suffixes, in small or capital letters; without any: one of a volume."""
    return Path(path).name.lower().endswith(suffixes or SUFFIXES)


def case_name(path: str | Path) -> str:
    """File name without folder and volume suffix."""
    name = Path(path).name
    return next((name[: -len(suffix)] for suffix in SUFFIXES if has_suffix(name, suffix)), name)


def as_ct(path: Path, scan: Scan) -> Scan:
    """A scan whose values are HU, in the type that `Scan` promises.

    Raises:
        UserError: When a value is not finite.
    """
    values = scan.data
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            msg = f"{path} holds {bad} voxels that are NaN or infinite; replace them, by -1024 HU where there is air"
            raise UserError(msg)
    return replace(scan, data=_as_hu(values))


def report_odd(path: Path, scan: Scan) -> None:
    """Report in the log what is odd about a CT that is used all the same: unknown axes, values that may be no HU."""
    if not scan.is_oriented:
        log.warning(
            "%s does not state which way its axes run in the body: left and right are a guess; convert it again from "
            "DICOM",
            path,
        )
    if scan.data.min() > AIR_BELOW_HU:
        log.warning("%s holds %g to %g and no air; check that these are HU", path, scan.data.min(), scan.data.max())


def write_mask(path: Path, mask: np.ndarray, like: Scan) -> None:
    """Write class indices as NIfTI with the shape, affine, forms, codes and units of a scan, whole or not at all.

    Args:
        path: `.nii.gz` or `.nii`; a NIfTI-2 scan gets a NIfTI-2 mask, so that its affine keeps all digits.
        mask: (I,J,K) uint8, voxel for voxel on the scan's grid.
        like: The scan.

    Raises:
        ValueError: When the mask is not uint8 or has another shape than the scan.
    """
    if mask.dtype != np.uint8 or mask.shape != like.data.shape:
        msg = f"mask must be uint8 of shape {like.data.shape}, got {mask.dtype} of shape {mask.shape}"
        raise ValueError(msg)
    image_class = nib.Nifti2Image if isinstance(like.header, nib.Nifti2Header) else nib.Nifti1Image
    # Given an affine, nibabel may set both forms and codes anew; with None the header's stay.
    image = image_class(mask.reshape(like.shape), None, like.header)
    with atomic_write(path) as aside:
        nib.save(image, aside)


def write_ct(path: Path, scan: Scan) -> None:
    """Write HU as they are, int16 or float32, as NIfTI with the geometry of the scan, whole or not at all."""
    header = scan.header.copy()
    header.set_data_dtype(scan.data.dtype)
    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    with atomic_write(path) as aside:
        nib.save(image_class(np.asarray(scan.data), None, header), aside)


def on_grid_of(label: Scan, image: Scan, label_path: str | Path, image_path: str | Path) -> np.ndarray:
    """A label map (I,J,K) voxel for voxel on its CT's grid, reordered without loss if it is stored in another order.

    Every label that is a volume of its own meets its CT here.

    Raises:
        UserError: When it lies on another grid; see `check_placed`.
    """
    return reordered(label.data, check_placed(label.grid, image.grid, label_path, image_path))


def geometry_header(shape: tuple[int, ...], affine: np.ndarray, is_oriented: bool = True) -> nib.Nifti1Header:
    """Header of a scan that does not come from NIfTI.

    Args:
        shape: Stored shape.
        affine: (4,4) voxel → RAS+ mm.
        is_oriented: Whether the axes' directions in the body are known. Else the forms' codes claim no more than that
            what lies on the scan's grid is aligned with it: NIfTI's 2 (`NIFTI_XFORM_ALIGNED_ANAT`, "coordinates aligned
            to another file's") instead of 1, the scanner's. Code 0 would make readers put the mask elsewhere.
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
    """The same numbers as int16 if that is lossless, else as float32."""
    if values.min() >= -(2**15) and values.max() < 2**15:
        whole = values.astype(np.int16, copy=False)
        if np.array_equal(whole, values):
            return whole
    return values.astype(np.float32, copy=False)
