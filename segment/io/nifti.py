"""Read CTs and label maps stored as NIfTI-1 or NIfTI-2, compressed or not, in either byte order."""

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import imageglobals

from segment.errors import UserError
from segment.io.grid import CONVERT_AGAIN, GRID_TOLERANCE, Grid, check_geometry, check_shape, corners
from segment.io.scan import Scan
from segment.io.stored_size import PADDING, check_end

log = logging.getLogger(__name__)

# A mask copies only these fields from its CT's header: geometry and units, but no text, which may name the patient.
_GEOMETRY_FIELDS = (
    *("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)
_METRES_OR_MICRONS = (1, 3)  # xyzt_units
_PIECE = 2**24  # bytes that are decompressed at a time


class _GzipFile(gzip.GzipFile):
    """A gzip file that fills a buffer piece by piece. Python's own would hold the volume twice."""

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any object with the buffer protocol
        """Fill a buffer; returns the number of bytes, which is smaller at the end of the file."""
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view):
            piece = self.read(min(_PIECE, len(view) - filled))
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled


class FormsDisagreeError(UserError):
    """The sform and the qform of a file disagree on which way an axis runs."""


def read_nifti(path: Path) -> Scan:
    """Read values, scaled by scl_slope and scl_inter, and geometry.

    Raises:
        UserError: When the file is not one 3D volume of numbers, or has no usable geometry.
        Exception: Of any kind, when the file is damaged.
    """
    with _open(path) as stream:
        image = _image(path, stream)
        raw = image.dataobj.get_unscaled()
        # This reads to the end, where a gzip stream has its checksum.
        stream.seek(int(image.dataobj.offset) + raw.nbytes)
        check_end(path, stream.read(PADDING + 1))
    check_forms(path, image.header)
    header, is_oriented = geometry_of(image.header)
    values = _scaled(raw.reshape(image.shape[:3]), image.dataobj.slope, image.dataobj.inter)
    return Scan(values, image.affine, header, image.shape, is_oriented=is_oriented)


def geometry_of(stored: nib.Nifti1Header) -> tuple[nib.Nifti1Header, bool]:
    """Return the geometry of a header as a header for a mask, and whether it states which way the axes run."""
    header = type(stored)()
    header.set_data_shape(stored.get_data_shape())
    header.set_data_dtype(np.uint8)
    for field in _GEOMETRY_FIELDS:
        header[field] = stored[field]
    return header, _is_oriented(stored)


def read_nifti_grid(path: Path) -> Grid:
    """Read the geometry alone.

    Raises:
        UserError: As `read_nifti`.
        Exception: As `read_nifti`.
    """
    with _open(path) as stream:
        image = _image(path, stream)
    return Grid(image.shape[:3], image.affine, _is_oriented(image.header))


@contextmanager
def _open(path: Path) -> Iterator[BufferedIOBase]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with _GzipFile(path) if zipped else path.open("rb") as stream:
        yield stream


@contextmanager
def _without_nibabel_log() -> Iterator[None]:
    """Turn off nibabel's log of the fields that it corrects, which does not name the file. Errors are still raised."""
    before = imageglobals.logger.disabled
    imageglobals.logger.disabled = True
    try:
        yield
    finally:
        imageglobals.logger.disabled = before


def _image(path: Path, stream: BufferedIOBase) -> nib.Nifti1Image:
    """Return an image whose header has been checked. Its voxels are read later."""
    start = stream.read(4)  # the size of the header, 348 or 540, in either byte order
    sizes = int.from_bytes(start, "little"), int.from_bytes(start, "big")
    image_class = nib.Nifti2Image if 540 in sizes else nib.Nifti1Image
    stream.seek(0)
    # The header as stored: when nibabel checks it, it replaces a pixdim of 0 by 1 mm and drops signs.
    stored = image_class.header_class.from_fileobj(stream, check=False)
    if _form(stored) != "sform":
        _check_pixdim(path, stored)
    stream.seek(0)
    with _without_nibabel_log():
        image = image_class.from_stream(stream)
    if image.get_data_dtype().kind not in "iuf":
        dtype = image.get_data_dtype()
        msg = f"{path} holds {dtype.names or dtype} per voxel; give one number per voxel"
        raise UserError(msg)
    if stored["bitpix"] != 8 * image.get_data_dtype().itemsize:
        dtype = image.get_data_dtype()
        msg = f"{path} states {stored['bitpix']} bits per voxel, but its type {dtype} has others; {CONVERT_AGAIN}"
        raise UserError(msg)
    check_shape(path, image.shape, image.get_data_dtype().itemsize)
    check_geometry(path, image.affine, None if _form(stored) == "sform" else stored["pixdim"][1:4].astype(float))
    if image.header["xyzt_units"] % 8 in _METRES_OR_MICRONS:
        msg = f"{path} states its geometry in metres or microns; convert its affine and units to mm"
        raise UserError(msg)
    return image


def _check_pixdim(path: Path, stored: nib.Nifti1Header) -> None:
    """Refuse an invalid qfac or quaternion. Without a qform, neither is used.

    Raises:
        UserError: When the quaternion is longer than 1, or qfac is not -1, 0 or 1. The sign of qfac (pixdim[0])
            decides which side is left; the standard reads 0 as 1.
    """
    if _form(stored) == "none":
        return
    qfac = float(stored["pixdim"][0])
    if qfac not in (-1, 0, 1):
        msg = f"{path} has the qfac (pixdim[0]) {qfac:g}, so left and right are unknown; {CONVERT_AGAIN}"
        raise UserError(msg)
    try:
        stored.get_qform_quaternion()
    except ValueError as error:
        msg = f"{path} has a qform whose quaternion is longer than 1; {CONVERT_AGAIN}"
        raise UserError(msg) from error


def check_forms(path: Path, header: nib.Nifti1Header) -> None:
    """Log a warning if sform and qform, which state the geometry twice, differ; the sform is used.

    Different codes mean different worlds, for example the scanner's and an atlas's, so only forms with one code are
    compared. A qform cannot state a shear, so it is compared with what it can state of the sform.

    Raises:
        FormsDisagreeError: When the forms disagree on which way an axis runs, so that left and right may be swapped.
    """
    if _form(header) != "sform" or header["sform_code"] != header["qform_code"]:
        return
    try:
        sform, qform = header.get_sform(), header.get_qform()
    except ValueError:  # a quaternion longer than 1
        log.warning("%s has a qform that is no rotation; the sform is used; check it", path)
        return
    if nib.aff2axcodes(sform) != nib.aff2axcodes(qform):
        axes = ["".join(nib.aff2axcodes(form)) for form in (sform, qform)]
        msg = (
            f"{path} states its axes twice, as {axes[0]} in its sform and {axes[1]} in its qform, so left and right "
            f"are unknown; {CONVERT_AGAIN}"
        )
        raise FormsDisagreeError(msg)
    unsheared = header.copy()
    unsheared.set_qform(sform, code="scanner")
    apart = np.linalg.inv(sform) @ (unsheared.get_qform() - qform)  # in voxels
    offset = np.abs(corners(header.get_data_shape()[:3]) @ apart.T).max()
    if offset > GRID_TOLERANCE:
        log.warning(
            "%s states its geometry twice, and differently: its sform and qform are up to %.2g voxels apart; the sform "
            "is used; check it",
            path,
            offset,
        )


def _form(header: nib.Nifti1Header) -> str:
    """Return the part of a header that defines the affine: `sform`, `qform` or `none`."""
    codes = nib.nifti1.xform_codes.value_set() - {0}  # nibabel reads any other number as 0
    for form in ("sform", "qform"):
        if int(header[f"{form}_code"]) in codes:
            return form
    return "none"


def _is_oriented(header: nib.Nifti1Header) -> bool:
    return _form(header) != "none"


def _stays_int16(raw: np.ndarray, slope: float, inter: float) -> bool:
    """Whether scaled values are int16 as the stored ones are, and these may be overwritten."""
    if raw.dtype != np.int16 or not raw.flags.writeable or slope % 1 or inter % 1:
        return False
    ends = [int(end) * slope + inter for end in (raw.min(), raw.max())]
    return min(ends) >= -(2**15) and max(ends) < 2**15


def _scaled(raw: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """Return values times slope plus intercept, or the stored values if there is nothing to scale.

    The result is float32; or int16 if the stored values are, and the results fit. Most CTs with an intercept do, and
    they are then scaled in their own memory: as float32, one of 1024x1024x1500 voxels would take 6 GB more. The result
    is computed slice by slice, so that only one slice is ever float64.
    """
    if slope == 1 and inter == 0:
        return raw
    values = raw if _stays_int16(raw, slope, inter) else np.empty(raw.shape, np.float32, order="F")
    for k in range(raw.shape[-1]):
        values[..., k] = raw[..., k] * slope + inter
    return values
