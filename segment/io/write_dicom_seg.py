"""Write a mask as a DICOM segmentation (PS3.3, A.51) that opens with the series that it was made of."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import yaml
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from segment.errors import UserError
from segment.files import atomic_write
from segment.io.scan import Scan

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

# Attributes of a patient and a study that a segmentation copies, and that an anonymised series may lack. The standard
# allows them to be empty (type 2).
_MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName"),
)
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")  # what a segmentation refers to
# Anonymisers may empty these, too, but the file's meta header repeats them.
_IN_META = {"SOPClassUID": "MediaStorageSOPClassUID", "SOPInstanceUID": "MediaStorageSOPInstanceUID"}
SERIES_OFFSET = 1000  # added to the number of the CT's series


def has_highdicom() -> bool:
    """Whether the package that writes segmentations is installed."""
    return find_spec("highdicom") is not None


def why_no_dicom_seg(scan: Scan) -> str:
    """Why a mask of this CT cannot be a DICOM segmentation; empty if it can."""
    if scan.is_straightened:
        return "the series was straightened, so its slices are not those of the mask"
    if len(scan.files) < 2:
        return "not a DICOM series"
    header = pydicom.dcmread(scan.files[0], stop_before_pixels=True, specific_tags=list(_NEEDED), force=True)
    missing = [keyword for keyword in _NEEDED if not header.get(keyword)]
    return f"the series has no {' and no '.join(missing)}, to which a segmentation refers" if missing else ""


def write_dicom_seg(path: Path, mask: np.ndarray, files: Sequence[Path], numbers: Mapping[str, int], by: str) -> None:
    """Write organs of a mask as segments of a binary segmentation. The write is atomic.

    The segmentation refers to the slices of the series, and copies the patient and the study from it, with the
    patient's name, as the standard demands. It has frames only for slices in which an organ is not empty.

    Args:
        path: `.dcm`.
        mask: (I,J,K) uint8 class indices. K runs along the slices.
        files: The CT's slices in this order; see `Scan.files`. `why_no_dicom_seg` must have no objection.
        numbers: Value in the mask of every organ. Segment n is organ n of these, labelled with its name, and coded in
            SNOMED CT if `snomed.yaml` lists it, otherwise as an unspecified organ.
        by: Version of the program, and what else describes the algorithm.

    Raises:
        UserError: When highdicom refuses the headers.
    """
    in_order = np.zeros(256, np.uint8)
    for segment, number in enumerate(numbers.values(), start=1):
        in_order[number] = segment
    frames = in_order[mask].transpose(2, 1, 0)  # (K,J,I)
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # warnings about unusual names would show the name of the patient
        try:
            content = _segmentation([_header(file) for file in files], frames, list(numbers), by)
            with atomic_write(path) as temporary:
                content.save_as(temporary)
        except OSError:
            raise
        except Exception as error:  # highdicom raises nearly anything on unusual headers, with their values
            msg = (
                f"cannot make a DICOM segmentation ({type(error).__name__}): the headers of the series are unusual; "
                "use the mask as NIfTI"
            )
            raise UserError(msg) from error


def _header(file: Path) -> Dataset:
    """The header of a slice, with empty attributes in place of missing ones."""
    header = pydicom.dcmread(file, stop_before_pixels=True, force=True)  # also a file without the preamble
    for keyword, in_meta in _IN_META.items():
        if not header.get(keyword):
            setattr(header, keyword, header.file_meta.get(in_meta, ""))
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _segmentation(slices: Sequence[Dataset], frames: np.ndarray, organs: Sequence[str], by: str) -> Dataset:
    """The segmentation of frames (K,J,I), whose values are the numbers of the segments."""
    from highdicom.seg import Segmentation

    logging.getLogger("highdicom").setLevel(logging.WARNING)  # it would log every module that it copies
    segmentation: Dataset = Segmentation(
        source_images=slices,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_describe(number, organ, by) for number, organ in enumerate(organs, start=1)],
        series_instance_uid=generate_uid(),
        series_number=int(slices[0].get("SeriesNumber") or 0) + SERIES_OFFSET,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="segment",
        manufacturer_model_name="segment predict",
        software_versions=by,
        device_serial_number="none",
        series_description="organs, segmented automatically",
        content_label="ORGANS",
    )
    return segmentation


def _describe(number: int, organ: str, by: str) -> "SegmentDescription":
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    code = _snomed().get(organ, {"code": codes.SCT.Organ.value, "meaning": codes.SCT.Organ.meaning})
    kind = CodedConcept(str(code["code"]), "SCT", code["meaning"])
    if "side" in code:
        side = getattr(codes.SCT, code["side"].title())
        kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(side)]
    return SegmentDescription(
        segment_number=number,
        segment_label=organ,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name="segment", family=codes.DCM.ArtificialIntelligence, version=by
        ),
    )


def _snomed() -> dict[str, dict[str, Any]]:
    """Codes of organs, by name."""
    table: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("snomed.yaml").read_text("utf-8"))
    return table
