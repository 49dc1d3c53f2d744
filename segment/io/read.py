"""Read a CT or a label map from a file in any supported format, or a CT from a folder with a DICOM series."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from segment.errors import UserError
from segment.io.advice import FOR_DATA_SETS, Advice
from segment.io.dicom import SeriesFolder
from segment.io.grid import Grid
from segment.io.itk import read_itk, read_itk_grid
from segment.io.nifti import read_nifti, read_nifti_grid
from segment.io.scan import SUFFIXES, Scan, as_ct, has_suffix, warn_if_suspicious

Read = TypeVar("Read")

NOISE = 0.05  # largest distance of a stored label value from a whole number; see `read_label`


def read_ct(
    path: str | Path, series: str | None = None, straighten: bool = False, advice: Advice = FOR_DATA_SETS
) -> Scan:
    """Read a CT in HU, scl_slope and scl_inter applied.

    Unknown axes, and values that do not look like HU, are reported in the log.

    Args:
        path: A file, or a folder with a DICOM series.
        series: UID of the series, if a folder contains several. None reads the axial CT with the most slices.
        straighten: Whether to resample a series with a gantry tilt or uneven slice distances. Otherwise it is an error.
        advice: Remedies for errors about a series.

    Raises:
        UserError: When the file is missing, incomplete, not one 3D volume of finite numbers, or has no usable geometry.
    """
    path = Path(path)
    scan = SeriesFolder(path, advice=advice).read(series, straighten) if is_folder(path) else read_ct_file(path)
    warn_if_suspicious(path, scan)
    return scan


def read_ct_file(path: Path) -> Scan:
    """Read a CT in HU from a file, without the warnings of `warn_if_suspicious`.

    Raises:
        UserError: As `read_ct`.
    """
    return replace(as_ct(path, _read(path, read_nifti, read_itk)), files=(path,))


def is_folder(path: Path) -> bool:
    """Whether a CT is read as a DICOM series: if its path is a folder without the suffix of a volume file."""
    return path.is_dir() and not has_suffix(path)


def read_label(path: str | Path) -> Scan:
    """Read a label map. Floats that are within `NOISE` of a whole number are rounded, and the result is int32.

    Conversions leave such noise, for example 3.0000002 after a product in float32. Scaling codes up to R to uint8 has
    steps of R/255, so values are off by up to R/510: 1.0039 instead of 1. Interpolation leaves fractions of any size
    along the borders, which are refused. If it moved the label so little that no fraction exceeds the noise, rounding
    restores the label.

    Raises:
        UserError: As `read_ct`, and when a value is not a whole number.
    """
    scan = _read(Path(path), read_nifti, read_itk)
    values = scan.data
    if values.dtype.kind == "f":
        whole = np.rint(values)
        near = np.isclose(values, whole, rtol=0, atol=NOISE)  # False for NaN
        odd = ~(near & (np.abs(values) < 2**31))
        if odd.any():
            msg = f"label file {path} holds {values[odd][0]}, which is not an integer; give a label map, not an image"
            raise UserError(msg)
        values = whole.astype(np.int32)
    return replace(scan, data=values.astype(values.dtype.newbyteorder("="), copy=False))


def read_grid(path: Path) -> Grid:
    """Read the geometry of a file, without its voxels.

    Raises:
        UserError: As `read_ct`.
    """
    return _read(path, read_nifti_grid, read_itk_grid)


def _read(path: Path, nifti_reader: Callable[[Path], Read], itk_reader: Callable[[Path], Read]) -> Read:
    """Read a file with the reader for its format."""
    if not has_suffix(path):
        msg = (
            f"cannot read {path}: its name ends in none of {', '.join(SUFFIXES)}; convert it to NIfTI, or give a CT "
            "as its DICOM folder"
        )
        raise UserError(msg)
    if not (path.is_file() and os.access(path, os.R_OK)):
        msg = f"no such file, or no permission to read it: {path}; check the path"
        raise UserError(msg)
    reader = nifti_reader if has_suffix(path, ".nii", ".nii.gz") else itk_reader
    try:
        return reader(path)
    except UserError:
        raise
    except Exception as error:  # the parsers can raise nearly anything on damaged bytes
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        cause = first_line.removesuffix(f" from {path}")  # nibabel repeats the path
        msg = (
            f"cannot read {path}: it is damaged, incomplete or not what its name says ({cause}); copy or download it "
            "again"
        )
        raise UserError(msg) from error
