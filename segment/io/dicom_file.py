"""Read one DICOM file of a CT: its kind, the geometry of its slice, and its HU.

Only the tags listed in `_TAGS` are read. Patients' names, IDs and birth dates therefore never enter the program.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom import config, uid
from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.decoding import DecodingError, decoding
from segment.io.dicom_elements import check_elements
from segment.io.grid import check_spacing
from segment.io.padding import padding_as_air, padding_hu
from segment.io.printable import printable
from segment.io.series import Slice

CT, ENHANCED = "CT", "enhanced CT"
_ENHANCED_STORAGES = (uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage)
_GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
_TAGS = (
    *("SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesDescription", "InstanceNumber"),
    *(*_GEOMETRY, "PhotometricInterpretation", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
)


def may_be_dicom(path: Path) -> bool:
    """Whether a file looks like DICOM: by its magic bytes or suffix, or because its first tag is in group 2 or 8.

    Raises:
        UserError: When the file cannot be opened.
    """
    return _is_named_dicom(path) or _read_start(path)[:2] in (b"\x02\x00", b"\x08\x00")


def read_header(path: Path) -> Dataset | None:
    """Read the tags of a DICOM image. Return None for any other file, for example a text file or a DICOMDIR.

    Raises:
        UserError: When a file is DICOM by its magic bytes or suffix, but its header cannot be read.
    """
    if not may_be_dicom(path):
        return None
    try:
        with config.disable_value_validation():
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
            # pydicom converts values on access. Convert them here, where values that are merely too long are accepted.
            tuple(header)
        if _storage(header) == uid.MediaStorageDirectoryStorage:
            return None
        # Anonymizers may empty the UID, so the tag only has to be present.
        complete = bool(header.get("Modality")) and "SeriesInstanceUID" in header
    except Exception as error:  # the parser can raise nearly anything on damaged bytes
        if _is_named_dicom(path):
            raise _damaged(path) from error
        return None
    if not complete and _is_named_dicom(path):
        raise _damaged(path)
    return header if complete else None


def kind(header: Dataset) -> str:
    """Return `CT` for a slice of a CT, otherwise what the file contains instead."""
    storage, image_type = _storage(header), str(header.get("ImageType")).upper()
    if "Secondary Capture" in storage.name or "SCREEN SAVE" in image_type:
        return "secondary capture"
    if header.Modality != "CT":
        return printable(header.Modality)
    if "LOCALIZER" in image_type:
        return "localizer"
    if storage in _ENHANCED_STORAGES:
        return ENHANCED
    return CT if storage in ("", uid.CTImageStorage) else printable(storage.name)


def _storage(header: Dataset) -> uid.UID:
    """Return the SOP Class UID. Anonymizers may empty it in the header, so the file's meta header is the fallback."""
    return uid.UID(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")


def is_axial(header: Dataset) -> bool:
    """Whether the normal of the slice is closer to the body's long axis than to any other axis."""
    cosines = header.get("ImageOrientationPatient") or []
    if len(cosines) != 6:
        return False
    normal = np.cross(*np.reshape(np.array(cosines, np.float64), (2, 3)))
    return int(np.abs(normal).argmax()) == 2


def read_slice(path: Path, header: Dataset) -> Slice:
    """Return the geometry and padding of a CT slice from its header.

    Raises:
        UserError: When geometry is missing or damaged, or the values are not in HU.
    """
    for keyword in _GEOMETRY:
        if header.get(keyword) in (None, "", []):
            msg = (
                f"{path} has no {keyword}, so its position is unknown; copy the file again, or leave it out if it is "
                "not a slice of the series"
            )
            raise UserError(msg)
    unit, colours = header.get("RescaleType") or "HU", header.get("PhotometricInterpretation", "MONOCHROME2")
    if not unit.startswith(("HU", "US")) or colours != "MONOCHROME2":  # US is "unspecified"
        msg = f"{path} holds {printable(colours)} values in {printable(unit)}; give a series in HU"
        raise UserError(msg)
    try:
        check_spacing(path, _numbers(header.PixelSpacing, 2))
        instance = header.get("InstanceNumber")
        return Slice(
            path=path,
            instance=None if instance is None else int(instance),
            shape=(int(header.Columns), int(header.Rows)),
            position_mm=_numbers(header.ImagePositionPatient, 3),
            axes=_numbers(header.ImageOrientationPatient, 6).reshape(2, 3),
            spacing_mm=_numbers(header.PixelSpacing, 2)[::-1],  # DICOM gives the distance between rows, along J, first
            padding_hu=padding_hu(header),
        )
    except UserError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(path) from error


def read_hu(ct_slice: Slice) -> np.ndarray:
    """Read the HU (I,J) of a slice, using its own rescale slope and intercept. Padding becomes air unless darker.

    Raises:
        UserError: When the pixels are incomplete, or compressed in a way that GDCM does not support.
    """
    # GDCM decodes every compression of the standard, and applies slope and intercept.
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(ct_slice.path))
    try:
        check_elements(ct_slice.path)
        with decoding(ct_slice.path):
            image = reader.Execute()
        hu: np.ndarray = SimpleITK.GetArrayFromImage(image).reshape(ct_slice.shape[::-1]).T
    except (DecodingError, ValueError) as error:
        msg = (
            f"cannot decode the pixels of {ct_slice.path} ({error}): the file is damaged, incomplete or its "
            f"compression ({_compression(ct_slice.path)}) is not supported; copy it again, or decompress it (gdcmconv "
            "--raw)"
        )
        raise UserError(msg) from error
    return hu if ct_slice.padding_hu is None else padding_as_air(hu, ct_slice.padding_hu)


def _numbers(values: Sequence[float], count: int) -> np.ndarray:
    numbers = np.array([float(value) for value in values])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(numbers)
    return numbers


def _read_start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError as error:
        msg = f"cannot open {path} ({error.strerror}); check its permissions"
        raise UserError(msg) from error


def _is_named_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm" or _read_start(path)[128:] == b"DICM"


def _damaged(path: Path) -> UserError:
    return UserError(f"cannot read {path}: its DICOM header is damaged or incomplete; copy the file again")


def _compression(path: Path) -> str:
    """Return the name of a file's transfer syntax, for an error."""
    try:
        return str(pydicom.dcmread(path, specific_tags=["Modality"]).file_meta.TransferSyntaxUID.name)
    except Exception:  # damaged files can raise nearly anything
        return "unknown"
