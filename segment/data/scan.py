"""CTs and label maps: any stored geometry in, masks with exactly that geometry out."""

import gzip
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK

from segment.errors import UserError
from segment.files import written_aside

log = logging.getLogger(__name__)

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")

AIR_HU = -300  # every CT of a body shows some air, which is -1000 HU, or fills it in darker than this

# Distance between the corners of an image and its label that still counts as the same grid. Float32 rounding in
# headers stays below; a true mismatch is a good part of a voxel.
GRID_TOLERANCE_MM = 0.01

# All that a mask takes over from its CT's header: geometry and units, no text.
_GEOMETRY_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


@dataclass(frozen=True)
class Scan:
    """One 3D volume in the order in which its file stores it.

    Attributes:
        data: (I,J,K). A CT is in HU: int16 where that loses nothing, else float32. A label map holds integers.
        affine: (4,4) float64, voxel → RAS+ mm; from the sform where its code is set, else from the qform.
        header: Geometry to write masks with (forms, their codes, units); it carries no text of the file's own header.
        shape: Stored shape; that of a 4D file with one frame is (I,J,K,1).
    """

    data: np.ndarray
    affine: np.ndarray
    header: nib.Nifti1Header
    shape: tuple[int, ...]


def case_name(path: str | Path) -> str:
    """File name without folder and volume suffix."""
    name = Path(path).name
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def read_ct(path: str | Path, series: str | None = None, straighten: bool = False) -> Scan:
    """Read a CT in HU, scl_slope and scl_inter applied; values that cannot be HU are reported in the log.

    Args:
        path: A file, or a folder with a DICOM series.
        series: UID of the series, where a folder holds several; None: the axial CT with most slices.
        straighten: Whether a series with a gantry tilt or uneven slice distances is resampled instead of refused.

    Raises:
        UserError: When the file is missing, incomplete, not one 3D volume of finite numbers, or has no usable geometry.
    """
    path = Path(path)
    if path.is_dir() and not path.name.endswith(SUFFIXES):
        from segment.data.dicom import read_series  # it is built on this file

        return read_series(path, series, straighten)
    return ct_scan(path, *_read(path))


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
    if values.min() > AIR_HU:
        log.warning("%s holds %g to %g and no air: are these HU?", path, values.min(), values.max())
    return Scan(_as_hu(values), affine, header, header.get_data_shape())


def read_label(path: str | Path) -> Scan:
    """Read a label map; whole numbers stored as floats are accepted and become int32.

    Raises:
        UserError: As `read_ct`, and when a value is not a whole number.
    """
    values, affine, header = _read(Path(path))
    if values.dtype.kind == "f":
        odd = ~(np.abs(values) < 2**31) | (values != np.rint(values))
        if odd.any():
            msg = f"label file {path} holds {values[odd][0]}, which is not an integer; give a label map, not an image"
            raise UserError(msg)
        values = values.astype(np.int32)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return Scan(values, affine, header, header.get_data_shape())


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


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, nib.Nifti1Header]:
    """Scaled values (I,J,K), affine and geometry of any file."""
    if not path.name.endswith(SUFFIXES):
        msg = f"cannot read {path}: its name ends in none of {', '.join(SUFFIXES)}; convert it or give a DICOM folder"
        raise UserError(msg)
    if not (path.is_file() and os.access(path, os.R_OK)):
        msg = f"no such file, or no right to read it: {path}; check the path"
        raise UserError(msg)
    try:
        values, affine, header = _read_nifti(path) if path.name.endswith((".nii", ".nii.gz")) else _read_itk(path)
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        msg = f"cannot read {path}: it is damaged, incomplete or not what its name says; copy or download it again"
        raise UserError(msg) from error
    return values.reshape(values.shape[:3]), affine, header


def _check_geometry(path: Path, shape: tuple[int, ...], affine: np.ndarray) -> None:
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or 0 in shape:
        msg = f"{path} has shape {tuple(shape)}; give one 3D volume per file"
        raise UserError(msg)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        msg = f"{path} has an unusable affine {affine[:3].tolist()}; mend its sform or qform"
        raise UserError(msg)


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray, nib.Nifti1Header]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else path.open("rb") as stream:
        start = stream.read(4)  # the header's size, 348 or 540, in either byte order
        stream.seek(0)
        sizes = int.from_bytes(start, "little"), int.from_bytes(start, "big")
        image = (nib.Nifti2Image if 540 in sizes else nib.Nifti1Image).from_stream(stream)
        if image.get_data_dtype().kind not in "iuf":
            msg = f"{path} holds {image.get_data_dtype().names or image.get_data_dtype()} per voxel; give numbers (HU)"
            raise UserError(msg)
        _check_geometry(path, image.shape, image.affine)
        if image.header["xyzt_units"] % 8 in (1, 3):
            msg = f"{path} gives its geometry in metres or microns; convert its affine and units to mm"
            raise UserError(msg)
        raw = image.dataobj.get_unscaled()
        # The end of a gzip stream holds the checksum: read on, or a file that lacks its last bytes passes.
        while stream.read(1 << 20):
            pass
    header = type(image.header)()
    header.set_data_shape(image.shape)
    header.set_data_dtype(np.uint8)
    for field in _GEOMETRY_FIELDS:
        header[field] = image.header[field]
    return _scaled(raw, image.dataobj.slope, image.dataobj.inter), image.affine, header


def _read_itk(path: Path) -> tuple[np.ndarray, np.ndarray, nib.Nifti1Header]:
    image = SimpleITK.ReadImage(str(path))
    if image.GetNumberOfComponentsPerPixel() != 1:
        msg = f"{path} holds {image.GetNumberOfComponentsPerPixel()} numbers per voxel; give one (HU)"
        raise UserError(msg)
    affine = np.eye(4)
    if image.GetDimension() >= 3:
        direction = np.reshape(image.GetDirection(), (image.GetDimension(), -1))[:3, :3]
        affine[:3, :3] = direction * image.GetSpacing()[:3]
        affine[:3, 3] = image.GetOrigin()[:3]
        affine[:2] *= -1  # ITK's world is LPS+
    _check_geometry(path, image.GetSize(), affine)
    return SimpleITK.GetArrayFromImage(image).T, affine, geometry_header(image.GetSize(), affine)


def _scaled(raw: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """Values times slope plus intercept, float32 where there is something to do; one float64 slice at a time."""
    if slope == 1 and inter == 0:
        return raw
    values = np.empty(raw.shape, np.float32, order="F")
    for k in range(raw.shape[-1]):
        values[..., k] = raw[..., k] * slope + inter
    return values


def _as_hu(values: np.ndarray) -> np.ndarray:
    """The same numbers as int16 if that is lossless, else as float32."""
    if values.min() >= -(2**15) and values.max() < 2**15:
        whole = values.astype(np.int16, copy=False)
        if np.array_equal(whole, values):
            return whole
    return values.astype(np.float32, copy=False)
