"""DICOM segmentations that `segment predict` writes, read with our reader and with pydicom alone."""

import warnings
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, PATIENT, stack_positions, write_series
from nibabel.affines import apply_affine
from pydicom.uid import SegmentationStorage

from segment.errors import UserError
from segment.io.dicom import SeriesFolder
from segment.io.dicom_seg import read_dicom_seg
from segment.io.write_dicom_seg import why_no_dicom_seg, write_dicom_seg

NUMBERS = {"liver": 1, "left_kidney": 3, "spleen": 4, "lump": 7}
# Directions of a row and of a column: axial in four turns, coronal, sagittal, oblique, each in either order of slices.
ORIENTATIONS = {
    "axial": AXIAL,
    "axial, prone": (-1, 0, 0, 0, -1, 0),
    "axial, turned": (0, 1, 0, -1, 0, 0),
    "axial, feet first": (-1, 0, 0, 0, 1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (0.8, 0.6, 0, -0.6, 0.8, 0),
    "double oblique": (0.8, 0.48, 0.36, -0.6, 0.64, 0.48),
}


def write_ct(folder, orientation=AXIAL, backwards=False, count=6, **tags):
    positions = stack_positions(count, normal=np.cross(orientation[:3], orientation[3:]))
    order = range(count - 1, -1, -1) if backwards else None
    return write_series(folder, positions, order, orientation=orientation, **tags)


def random_mask(shape, seed=0):
    """Class indices with an empty slice, and no voxel of the spleen."""
    mask = np.random.default_rng(seed).choice([0, 0, 1, 2, 3, 7], shape).astype(np.uint8)
    mask[..., 2] = 0
    return mask


def write(path, folder, mask=None, seed=0):
    scan = SeriesFolder(folder).read("1.2.3.4")
    mask = random_mask(scan.data.shape, seed) if mask is None else mask
    write_dicom_seg(path, mask, scan.files, NUMBERS, "1.0")
    return scan, mask


def voxels_of(path):
    """LPS+ positions in mm of the voxels of each segment, by label. Follows C.7.6.2.1-1, with pydicom alone."""
    file = pydicom.dcmread(path)
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in file.SegmentSequence}
    shared = file.SharedFunctionalGroupsSequence[0]
    found = {label: set() for label in labels.values()}
    for frame, group in zip(
        file.pixel_array.reshape(-1, file.Rows, file.Columns), file.PerFrameFunctionalGroupsSequence, strict=True
    ):
        label = labels[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
        start = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
        rows_mm, columns_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
        for row, column in np.argwhere(frame):
            at = start + axes[0] * columns_mm * column + axes[1] * rows_mm * row
            found[label].add(tuple(np.round(at, 2).tolist()))
    return found


@pytest.mark.parametrize("backwards", [False, True], ids=["files in order", "files in reverse"])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_every_voxel_comes_back_at_its_place(tmp_path, orientation, backwards):
    folder = write_ct(tmp_path / "ct", orientation, backwards)
    scan, mask = write(tmp_path / "seg.dcm", folder)
    ours, theirs = read_dicom_seg(tmp_path / "seg.dcm", scan), voxels_of(tmp_path / "seg.dcm")
    assert set(ours) == set(theirs) == {*NUMBERS}
    for organ, number in NUMBERS.items():
        np.testing.assert_array_equal(ours[organ], mask == number)
        at_mm = apply_affine(scan.affine, np.argwhere(mask == number)) * (-1, -1, 1)
        assert theirs[organ] == {tuple(voxel) for voxel in np.round(at_mm, 2).tolist()}
    assert ours["spleen"].sum() == 0


def test_the_segmentation_belongs_to_its_series(tmp_path):
    folder = write_ct(tmp_path / "ct", SeriesNumber=3, StudyDate="20200102", StudyID="7")
    _, mask = write(tmp_path / "seg.dcm", folder)
    sources = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, folder.iterdir())}
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (file.SOPClassUID, file.SegmentationType, file.Modality) == (SegmentationStorage, "BINARY", "SEG")
    some = next(iter(sources.values()))
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "StudyDate", "StudyID"):
        assert file[keyword].value == some[keyword].value
    assert file.SeriesInstanceUID != some.SeriesInstanceUID
    assert file.SeriesNumber == 1003
    (series,) = file.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == some.SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == set(sources)
    for group in file.PerFrameFunctionalGroupsSequence:  # each frame names the slice that it lies on
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        slice_at = sources[source.ReferencedSOPInstanceUID].ImagePositionPatient
        assert group.PlanePositionSequence[0].ImagePositionPatient == slice_at
    assert file.NumberOfFrames == sum((mask == n).any(axis=(0, 1)).sum() for n in NUMBERS.values())


def test_organs_are_coded(tmp_path):
    write(tmp_path / "seg.dcm", write_ct(tmp_path / "ct"))
    kinds = {}
    for segment in pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence:
        (kind,) = segment.SegmentedPropertyTypeCodeSequence
        sides = kind.get("SegmentedPropertyTypeModifierCodeSequence", [])
        kinds[segment.SegmentLabel] = (kind.CodeValue, *(side.CodeMeaning for side in sides))
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert kinds == {
        "liver": ("10200004",),
        "left_kidney": ("64033007", "Left"),
        "spleen": ("78961009",),
        "lump": ("91772007",),  # an unspecified organ
    }


def test_an_empty_mask_is_a_segmentation_without_organs(tmp_path):
    folder = write_ct(tmp_path / "ct")
    scan, _ = write(tmp_path / "seg.dcm", folder, np.zeros((4, 5, 6), np.uint8))
    assert not any(mask.any() for mask in read_dicom_seg(tmp_path / "seg.dcm", scan).values())


def test_an_anonymised_series_has_a_segmentation(tmp_path):
    removed = dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "SeriesDescription", "InstanceNumber"))
    scan, mask = write(tmp_path / "seg.dcm", write_ct(tmp_path / "ct", **removed))
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", scan)["liver"], mask == 1)


def test_identifiers_of_slices_may_be_in_the_meta_header_alone(tmp_path):
    folder = write_ct(tmp_path / "ct")
    identifiers = set()
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        identifiers.add(file.SOPInstanceUID)
        file.SOPClassUID = file.SOPInstanceUID = ""
        file.save_as(path)
    scan, mask = write(tmp_path / "seg.dcm", folder)
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "seg.dcm", scan)["liver"], mask == 1)
    (series,) = pydicom.dcmread(tmp_path / "seg.dcm").ReferencedSeriesSequence
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == identifiers


def test_files_without_the_preamble_have_a_segmentation(tmp_path):
    """As `read_ct` reads them."""
    folder = write_ct(tmp_path / "ct")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    write(tmp_path / "seg.dcm", folder)
    assert set(voxels_of(tmp_path / "seg.dcm")) == {*NUMBERS}


def test_a_series_without_identifiers_can_have_no_segmentation(tmp_path):
    scan = SeriesFolder(write_ct(tmp_path / "a", FrameOfReferenceUID=None, StudyInstanceUID="")).read("1.2.3.4")
    assert why_no_dicom_seg(scan) == (
        "the series has no StudyInstanceUID and no FrameOfReferenceUID, to which a segmentation refers"
    )
    scan = SeriesFolder(write_ct(tmp_path / "b")).read("1.2.3.4")
    assert why_no_dicom_seg(scan) == ""
    assert why_no_dicom_seg(replace(scan, files=scan.files[:1])) == "not a DICOM series"
    assert why_no_dicom_seg(replace(scan, is_straightened=True)).startswith("the series was straightened")


def test_errors_and_warnings_do_not_show_the_patient(tmp_path):
    folder = write_ct(tmp_path / "ct", StudyInstanceUID=lambda k: f"1.2.{k}")  # of several studies
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(UserError) as info:
            write(tmp_path / "seg.dcm", folder)
    assert "cannot make a DICOM segmentation (" in str(info.value)
    for secret in PATIENT.values():
        assert secret not in "".join(map(str, [info.value, *caught]))
