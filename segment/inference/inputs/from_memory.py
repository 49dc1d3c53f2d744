"""Make a CT for the network from a path or from an image in memory."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK

from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input
from segment.inference.inputs.read_input import check_slices, read_input
from segment.io.grid import check_geometry, check_shape
from segment.io.hounsfield import check_possible
from segment.io.itk import affine_of
from segment.io.nifti import check_forms, geometry_of
from segment.io.scan import Scan, as_ct, case_name, geometry_header, warn_if_suspicious

_IMAGE = Path("the image")  # in place of a file's name in messages


def read_path(path: Path, series: str | None, straighten: bool) -> Scan:
    """Read a CT as `segment predict` reads a named input.

    Raises:
        UserError: As `read_input`, and when a folder does not have the series.
    """
    scan, left_out = read_input(Input(path, case_name(path), is_named=True), series, straighten)
    if scan is None:
        msg = f"{path} has {left_out[0].reason}; leave out series to read its largest CT"
        raise UserError(msg)
    return scan


def check_arguments(ct: Any, affine: Any, of_series: bool) -> None:  # noqa: ANN401
    """Refuse an array without an affine, and arguments that do not belong to the CT.

    Raises:
        UserError: With the argument.
    """
    is_array = type(ct).__name__ == "ndarray"
    if is_array and affine is None:
        msg = "an array needs affine=, its (4,4) matrix from voxels to mm (RAS+, as in nibabel)"
        raise UserError(msg)
    if not is_array and affine is not None:
        msg = f"affine= belongs to an array, but the CT is a {type(ct).__name__}, which has its own; leave it out"
        raise UserError(msg)
    is_path = isinstance(ct, str | Path)
    if of_series and (not is_path or Path(ct).is_file()):
        kind = "file" if is_path else type(ct).__name__
        msg = f"series= and straighten= belong to a folder, but the CT is a {kind}; leave them out"
        raise UserError(msg)


def scan_of(ct: Any, affine: np.ndarray | None) -> Scan:  # noqa: ANN401
    """A CT from an image or an array in memory. Its voxels are not copied if they are int16 or float32.

    Args:
        ct: An image of nibabel or SimpleITK, or an array (I,J,K); further axes of length 1 are allowed.
        affine: (4,4) voxel → RAS+ mm of an array; None for an image.

    Raises:
        UserError: When it is another type, not one 3D volume of finite numbers, cannot be in HU, has no usable
            geometry.
    """
    if isinstance(ct, np.ndarray):
        scan = _from_array(ct, np.asarray(affine, np.float64))
    elif isinstance(ct, nib.spatialimages.SpatialImage):
        scan = _from_nibabel(ct)
    elif isinstance(ct, SimpleITK.Image):
        scan = _from_itk(ct)
    else:
        msg = (
            f"cannot segment a {type(ct).__name__}; give a path, an image of nibabel or SimpleITK, or a numpy array "
            "with its affine"
        )
        raise UserError(msg)
    scan = as_ct(_IMAGE, scan)
    check_slices(_IMAGE, scan)
    fault = check_possible(scan.data)
    if fault is not None:
        msg = f"{_IMAGE} cannot be a CT: {fault.what}; {fault.remedy}"
        raise UserError(msg)
    warn_if_suspicious(_IMAGE, scan)
    return scan


def _from_array(values: np.ndarray, affine: np.ndarray) -> Scan:
    if affine.shape != (4, 4):
        msg = f"affine must be a (4,4) matrix, got {affine.shape}"
        raise UserError(msg)
    _check_numbers(values.dtype)
    check_shape(_IMAGE, values.shape)
    check_geometry(_IMAGE, affine)
    return Scan(values.reshape(values.shape[:3]), affine, geometry_header(values.shape, affine), values.shape)


def _from_nibabel(image: Any) -> Scan:  # noqa: ANN401
    """A scan of an image, with the forms of its header if it is NIfTI."""
    if image.affine is None:
        msg = f"{_IMAGE} has no affine, so its geometry is unknown; make it with one"
        raise UserError(msg)
    _check_numbers(image.get_data_dtype())
    check_shape(_IMAGE, image.shape)
    check_geometry(_IMAGE, image.affine)
    try:
        voxels = image.dataobj
        values = np.asarray(voxels, np.float32 if nib.is_proxy(voxels) else None)  # scaled
    except Exception as error:  # of any kind, when the file behind the image is damaged
        msg = f"cannot read the voxels of {_IMAGE} ({type(error).__name__}: {error}); copy its file again"
        raise UserError(msg) from error
    values = values.reshape(image.shape[:3])
    if isinstance(image, nib.Nifti1Pair):  # of which all images in NIfTI are
        # A new image, because the header of one whose affine was changed is updated only when it is saved.
        stored = type(image)(voxels, image.affine, image.header).header
        check_forms(_IMAGE, stored)
        header, is_oriented = geometry_of(stored)
        return Scan(values, image.affine, header, image.shape, is_oriented=is_oriented)
    is_oriented = not isinstance(image, nib.AnalyzeImage)  # whose format states sizes only
    header = geometry_header(image.shape, image.affine, is_oriented)
    return Scan(values, image.affine, header, image.shape, is_oriented=is_oriented)


def _from_itk(image: SimpleITK.Image) -> Scan:
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() < 3:
        msg = (
            f"{_IMAGE} has {image.GetDimension()} dimensions and {image.GetNumberOfComponentsPerPixel()} number(s) per "
            "voxel; give one 3D volume with one number per voxel"
        )
        raise UserError(msg)
    check_shape(_IMAGE, image.GetSize())
    affine = affine_of(image)
    check_geometry(_IMAGE, affine)
    values = SimpleITK.GetArrayFromImage(image).T
    return Scan(values.reshape(values.shape[:3]), affine, geometry_header(values.shape, affine), values.shape)


def _check_numbers(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "iuf":
        msg = f"{_IMAGE} holds {dtype.names or dtype} per voxel; give HU as whole numbers or floats"
        raise UserError(msg)
