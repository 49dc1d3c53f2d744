"""One DICOM file of a CT: what kind it is, where its slice lies, and its HU.

Only the tags listed here are ever read, so that no name, birth date or number of a patient can get any further.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom import config, uid
from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.grid import check_spacing
from segment.io.padding import padding_as_air, padding_hu
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
    """Judge a file by its magic bytes or its suffix; without both, by a first tag of group 2 or 8.

    Raises:
        UserError: When the file cannot be opened.
    """
    return _is_named_dicom(path) or _start(path)[:2] in (b"\x02\x00", b"\x08\x00")


def read_header(path: Path) -> Dataset | None:
    """The tags of an image; None for everything else, such as a text file or a DICOMDIR.

    Raises:
        UserError: When a file is DICOM by its magic bytes or suffix, but no header comes out of it.
    """
    if not may_be_dicom(path):
        return None
    try:
        with config.disable_value_validation():
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
            tuple(header)  # converts the values here, where those that are merely too long are let pass
        if _storage(header) == uid.MediaStorageDirectoryStorage:
            return None
        complete = bool(header.get("Modality")) and "SeriesInstanceUID" in header  # anonymizers empty the UID
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        if _is_named_dicom(path):
            raise _damaged(path) from error
        return None
    if not complete and _is_named_dicom(path):
        raise _damaged(path)
    return header if complete else None


def kind(header: Dataset) -> str:
    """`CT` for a slice of a CT, else what the file holds instead."""
    storage, image_type = _storage(header), str(header.get("ImageType")).upper()
    if "Secondary Capture" in storage.name or "SCREEN SAVE" in image_type:
        return "secondary capture"
    if header.Modality != "CT":
        return str(header.Modality)
    if "LOCALIZER" in image_type:
        return "localizer"
    if storage in _ENHANCED_STORAGES:
        return ENHANCED
    return CT if storage in ("", uid.CTImageStorage) else storage.name


def _storage(header: Dataset) -> uid.UID:
    """What is stored; anonymizers may empty the tag in the header proper."""
    return uid.UID(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")


def is_axial(header: Dataset) -> bool:
    """Whether the normal of the slice is nearer to the body's long axis than to another."""
    cosines = header.get("ImageOrientationPatient") or []
    if len(cosines) != 6:
        return False
    return int(np.abs(np.cross(*np.reshape(np.array(cosines, np.float64), (2, 3)))).argmax()) == 2


def read_slice(path: Path, header: Dataset) -> Slice:
    """What the header of a CT slice says of its geometry and padding.

    Raises:
        UserError: When it says too little, or that the values are not HU.
    """
    for keyword in _GEOMETRY:
        if header.get(keyword) in (None, "", []):
            msg = f"{path} has no {keyword}, so its place is unknown; copy the file again or leave it out"
            raise UserError(msg)
    unit, colours = header.get("RescaleType") or "HU", header.get("PhotometricInterpretation", "MONOCHROME2")
    if not unit.startswith(("HU", "US")) or colours != "MONOCHROME2":  # US is "unspecified"
        msg = f"{path} holds {colours} values in {unit}; give a series in HU"
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


def read_hu(each: Slice) -> np.ndarray:
    """HU (I,J) of a slice, its own rescale slope and intercept applied, padding made air unless it is darker.

    Raises:
        UserError: When the pixels are incomplete or compressed in a way that GDCM cannot undo.
    """
    reader = SimpleITK.ImageFileReader()  # GDCM brings every compression of the standard and applies the rescaling
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(each.path))
    try:
        hu: np.ndarray = SimpleITK.GetArrayFromImage(reader.Execute()).reshape(each.shape[::-1]).T
    except (RuntimeError, ValueError) as error:
        msg = (
            f"cannot decode the pixels of {each.path}: the file is damaged, incomplete or in an unknown compression; "
            "copy it again or decompress it"
        )
        raise UserError(msg) from error
    return hu if each.padding_hu is None else padding_as_air(hu, each.padding_hu)


def _numbers(values: Sequence[float], count: int) -> np.ndarray:
    numbers = np.array([float(value) for value in values])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(numbers)
    return numbers


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(132)
    except OSError as error:
        msg = f"cannot open {path} ({error.strerror}); check your rights to read it"
        raise UserError(msg) from error


def _is_named_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm" or _start(path)[128:] == b"DICM"


def _damaged(path: Path) -> UserError:
    return UserError(f"cannot read {path}: its DICOM header is damaged or incomplete; copy the file again")
