"""Read a CT or a label map from a file of any format, or a folder with a DICOM series."""

import gzip
import logging
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK

from segment.data.readers.advice import FOR_DATA_SETS, Advice
from segment.data.readers.dicom import SeriesFolder
from segment.data.readers.scan import SUFFIXES, Scan, ct_scan, geometry_header
from segment.errors import UserError

log = logging.getLogger(__name__)

# All that a mask takes over from its CT's header: geometry and units, no text.
_GEOMETRY_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def read_ct(
    path: str | Path, series: str | None = None, straighten: bool = False, advice: Advice = FOR_DATA_SETS
) -> Scan:
    """Read a CT in HU, scl_slope and scl_inter applied.

    Values that cannot be HU, and axes that no header states, are reported in the log.

    Args:
        path: A file, or a folder with a DICOM series.
        series: UID of the series, where a folder holds several; None: the axial CT with most slices.
        straighten: Whether a series with a gantry tilt or uneven slice distances is resampled instead of refused.
        advice: Remedies in errors about a series.

    Raises:
        UserError: When the file is missing, incomplete, not one 3D volume of finite numbers, or has no usable geometry.
    """
    path = Path(path)
    if is_folder(path):
        return SeriesFolder(path, advice).read(series, straighten)
    values, affine, header = _read(path)
    if header["sform_code"] == 0 and header["qform_code"] == 0:
        log.warning(
            "%s: neither form of its header has a code: left and right are a guess; convert it again from DICOM", path
        )
    return ct_scan(path, values, affine, header)


def is_folder(path: Path) -> bool:
    """Whether a CT is read as DICOM series: a folder, unless it has the name of a file."""
    return path.is_dir() and not path.name.endswith(SUFFIXES)


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
