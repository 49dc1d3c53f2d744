"""Read a CT or a label map from a file of any format, or a folder with a DICOM series."""

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
from segment.io.scan import SUFFIXES, Scan, as_ct, has_suffix, report_odd

Read = TypeVar("Read")

# By which a stored value may miss a whole number, see `read_label`.
NOISE = 0.05


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
    scan = SeriesFolder(path, advice=advice).read(series, straighten) if is_folder(path) else read_ct_file(path)
    report_odd(path, scan)
    return scan


def read_ct_file(path: Path) -> Scan:
    """Read a CT in HU from a file, and leave it to `report_odd` to report whether it looks like one.

    Raises:
        UserError: As `read_ct`.
    """
    return as_ct(path, _read(path, read_nifti, read_itk))


def is_folder(path: Path) -> bool:
    """Whether a CT is read as DICOM series: a folder, unless it has the name of a file."""
    return path.is_dir() and not has_suffix(path)


def read_label(path: str | Path) -> Scan:
    """Read a label map; numbers stored as floats that are whole but for `NOISE` are rounded and become int32.

    Conversions leave such noise: 3.0000002 after a product in float32, 1.0039 after a scaling to uint8, whose steps are
    R/255 for codes up to R and so miss by up to R/510. Interpolation leaves fractions of any size along the borders;
    where it moved a label by so little that none is larger than the noise, rounding undoes it.

    Raises:
        UserError: As `read_ct`, and when a value is not a whole number.
    """
    scan = _read(Path(path), read_nifti, read_itk)
    values = scan.data
    if values.dtype.kind == "f":
        whole = np.rint(values)
        near = np.isclose(values, whole, rtol=0, atol=NOISE)  # not for NaN
        odd = ~(near & (np.abs(values) < 2**31))
        if odd.any():
            msg = f"label file {path} holds {values[odd][0]}, which is not an integer; give a label map, not an image"
            raise UserError(msg)
        values = whole.astype(np.int32)
    return replace(scan, data=values.astype(values.dtype.newbyteorder("="), copy=False))


def read_grid(path: Path) -> Grid:
    """Read where the voxels of a file lie, without the voxels.

    Raises:
        UserError: As `read_ct`.
    """
    return _read(path, read_nifti_grid, read_itk_grid)


def _read(path: Path, of_nifti: Callable[[Path], Read], of_itk: Callable[[Path], Read]) -> Read:
    """What is wanted of a file, by the reader of its format."""
    if not has_suffix(path):
        msg = (
            f"cannot read {path}: its name ends in none of {', '.join(SUFFIXES)}; convert it to NIfTI, or give a CT "
            "as its DICOM folder"
        )
        raise UserError(msg)
    if not (path.is_file() and os.access(path, os.R_OK)):
        msg = f"no such file, or no right to read it: {path}; check the path"
        raise UserError(msg)
    try:
        return (of_nifti if has_suffix(path, ".nii", ".nii.gz") else of_itk)(path)
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the parsers raise nearly anything
        msg = f"cannot read {path}: it is damaged, incomplete or not what its name says; copy or download it again"
        raise UserError(msg) from error
