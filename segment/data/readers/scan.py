"""CTs and label maps: any stored geometry in, masks with exactly that geometry out."""

import logging
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from segment.errors import UserError
from segment.files import written_aside

log = logging.getLogger(__name__)

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")

# Below: lung and air, which is -1000 HU; every CT shows some, or fills it in darker. Above: patient, clothes and table.
AIR_BELOW_HU = -300

# Distance between the corners of an image and its label that still counts as the same grid. Float32 rounding in
# headers stays below; a true mismatch is a good part of a voxel.
GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Scan:
    """One 3D volume in the order in which its file stores it.

    Attributes:
        data: (I,J,K). A CT is in HU: int16 where that loses nothing, else float32. A label map holds integers.
        affine: (4,4) float64, voxel → RAS+ mm; from the sform where its code is set, else from the qform.
        header: Geometry to write masks with (forms, their codes, units); it carries no text of the file's own header.
        shape: Stored shape; that of a 4D file with one frame is (I,J,K,1).
        is_straightened: Whether the files lie on another grid, with a gantry tilt or uneven slice distances.
    """

    data: np.ndarray
    affine: np.ndarray
    header: nib.Nifti1Header
    shape: tuple[int, ...]
    is_straightened: bool = False


def has_suffix(path: str | Path, *suffixes: str) -> bool:
    """Whether a file's name ends in one of the suffixes, in small or capital letters; without any: one of a volume."""
    return Path(path).name.lower().endswith(suffixes or SUFFIXES)


def case_name(path: str | Path) -> str:
    """File name without folder and volume suffix."""
    name = Path(path).name
    return next((name[: -len(suffix)] for suffix in SUFFIXES if has_suffix(name, suffix)), name)


def ct_scan(path: Path, values: np.ndarray, affine: np.ndarray, header: nib.Nifti1Header) -> Scan:
    """Scan of a CT's values (I,J,K) in HU.

    Raises:
        UserError: When a value is not finite.
    """
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            msg = f"{path} holds {bad} voxels that are NaN or infinite; replace them, by -1024 HU where there is air"
            raise UserError(msg)
    if values.min() > AIR_BELOW_HU:
        log.warning("%s holds %g to %g and no air: are these HU?", path, values.min(), values.max())
    return Scan(_as_hu(values), affine, header, header.get_data_shape())


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
    with written_aside(path) as aside:
        nib.save(image, aside)


def write_ct(path: Path, scan: Scan) -> None:
    """Write HU as they are, int16 or float32, as NIfTI with the geometry of the scan, whole or not at all."""
    header = scan.header.copy()
    header.set_data_dtype(scan.data.dtype)
    image_class = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    with written_aside(path) as aside:
        nib.save(image_class(np.asarray(scan.data), None, header), aside)


def check_same_grid(image: Scan, label: Scan, image_path: str | Path, label_path: str | Path) -> None:
    """Refuse a label map that does not lie on its CT's grid.

    Raises:
        UserError: When shapes differ, or corner voxels lie more than `GRID_TOLERANCE_MM` apart.
    """
    if image.data.shape != label.data.shape:
        msg = (
            f"label {label_path} has shape {label.data.shape} but its CT {image_path} has {image.data.shape}; "
            "resample the label onto the CT's grid"
        )
        raise UserError(msg)
    ends = [(0, n - 1) for n in image.data.shape]
    corners = np.stack([*np.meshgrid(*ends, indexing="ij"), np.ones((2, 2, 2))], axis=-1)  # (2,2,2,4)
    distance_mm = float(np.linalg.norm(corners @ (image.affine - label.affine).T, axis=-1).max())
    if distance_mm > GRID_TOLERANCE_MM:
        msg = (
            f"label {label_path} lies up to {distance_mm:.3g} mm away from its CT {image_path}: affines "
            f"{label.affine[:3].round(4).tolist()} and {image.affine[:3].round(4).tolist()}; resample the label onto "
            "the CT's grid or mend the header that is wrong"
        )
        raise UserError(msg)


def geometry_header(shape: tuple[int, ...], affine: np.ndarray) -> nib.Nifti1Header:
    """Header of a scan that does not come from NIfTI."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header.set_xyzt_units("mm")
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    return header


def _as_hu(values: np.ndarray) -> np.ndarray:
    """The same numbers as int16 if that is lossless, else as float32."""
    if values.min() >= -(2**15) and values.max() < 2**15:
        whole = values.astype(np.int16, copy=False)
        if np.array_equal(whole, values):
            return whole
    return values.astype(np.float32, copy=False)
