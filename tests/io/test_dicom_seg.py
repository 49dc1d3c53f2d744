import itertools
import warnings

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, PATIENT, stack_positions, write_series
from highdicom.seg import Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, RTStructureSetStorage, generate_uid

from segment.datasets.annotation import known_classes
from segment.datasets.annotation_files import SegFile
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io.dicom_seg import max_frame_offset, read_dicom_seg, segment_names
from segment.io.read import read_ct
from segment.io.scan import Scan

OBLIQUE = (0.8, 0.6, 0, -0.6, 0.8, 0)
NEEDED = dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientSex", "SeriesNumber"), "")


def write_ct(folder, count=6, orientation=AXIAL):
    normal = np.cross(orientation[:3], orientation[3:])
    positions = stack_positions(count, normal=normal)
    return write_series(folder, positions, orientation=orientation, **NEEDED, SeriesInstanceUID="1.2.3.4")


def write_seg(path, ct, masks, fractional=False, syntax=ExplicitVRLittleEndian, types=None):
    """Write a segmentation with highdicom.

    Masks are (I,J,K) by Segment Label: bool, or float from 0 to 1 if fractional. `types` contains the Segment Label,
    the coded type and the coded side (or None) of every mask. Without it, segments are livers labelled as the masks.
    """
    types = types or [(label, codes.SCT.Liver, None) for label in masks]
    sources = sorted((pydicom.dcmread(p) for p in ct.iterdir()), key=lambda s: s.InstanceNumber)
    pixels = np.stack(list(masks.values()), axis=-1).T[..., None]  # (organs,K,J,I,1)
    pixels = np.moveaxis(pixels[..., 0], 0, -1)  # (K,J,I,organs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom warns about names without a family name
        seg = Segmentation(
            source_images=sources,
            pixel_array=pixels.astype(np.float32 if fractional else np.uint8),
            segmentation_type="FRACTIONAL" if fractional else "BINARY",
            segment_descriptions=[
                SegmentDescription(
                    segment_number=number,
                    segment_label=label,
                    segmented_property_category=codes.SCT.Organ,
                    segmented_property_type=kind,
                    algorithm_type="MANUAL",
                )
                for number, (label, kind, _) in enumerate(types, start=1)
            ],
            series_instance_uid=generate_uid(),
            series_number=2,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="none",
            manufacturer_model_name="none",
            software_versions="0",
            device_serial_number="0",
            transfer_syntax_uid=syntax,
        )
        for segment, (_, _, side) in zip(seg.SegmentSequence, types, strict=True):
            if side:
                (kind,) = segment.SegmentedPropertyTypeCodeSequence
                kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(side)]
        seg.save_as(path)
    return path


def random_mask(seed, shape=(4, 5, 6)):
    mask = np.random.default_rng(seed).random(shape) < 0.3
    mask[..., [0, 3]] = False  # empty slices, which a segmentation omits
    return mask


def as_stored(scan, axes, flips):
    """The same CT with its axes in another order and direction, as a NIfTI file may store it."""
    image = nib.Nifti1Image(np.asarray(scan.data), scan.affine)
    turned = image.as_reoriented(np.column_stack([axes, flips]))
    data = np.asarray(turned.dataobj)
    return Scan(data, turned.affine, scan.header, data.shape)


@pytest.fixture(scope="module")
def organs_folder(tmp_path_factory):
    """A folder with an oblique CT and a segmentation with overlapping masks."""
    folder = tmp_path_factory.mktemp("seg")
    write_ct(folder / "ct", orientation=OBLIQUE)
    write_seg(folder / "organs.dcm", folder / "ct", {"Liver": random_mask(0), "Right  Kidney": random_mask(1)})
    return folder


def test_masks_are_returned_by_name(organs_folder):
    masks = read_dicom_seg(organs_folder / "organs.dcm", read_ct(organs_folder / "ct"))
    assert set(masks) == {"liver", "right_kidney"}
    np.testing.assert_array_equal(masks["liver"], random_mask(0))
    np.testing.assert_array_equal(masks["right_kidney"], random_mask(1))
    assert masks["liver"].dtype == bool
    assert (masks["liver"] & masks["right_kidney"]).any()


def test_names_are_normalised(tmp_path):
    write_ct(tmp_path / "ct")
    mask = np.ones((4, 5, 6), bool)
    write_seg(tmp_path / "a.dcm", tmp_path / "ct", {" Kidney-Left": mask, "Vena  Cava": mask})
    assert segment_names(tmp_path / "a.dcm") == ["kidney_left", "vena_cava"]
    assert set(read_dicom_seg(tmp_path / "a.dcm", read_ct(tmp_path / "ct"))) == {"kidney_left", "vena_cava"}


def test_empty_slices_have_no_frames(organs_folder):
    assert pydicom.dcmread(organs_folder / "organs.dcm").NumberOfFrames == 2 * 4


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_masks_match_a_ct_in_any_orientation(organs_folder, axes):
    scan = read_ct(organs_folder / "ct")
    for flips in itertools.product((1, -1), repeat=3):
        like = as_stored(scan, axes, flips)
        expected = as_stored(Scan(random_mask(1).astype(np.uint8), scan.affine, scan.header, scan.shape), axes, flips)
        masks = read_dicom_seg(organs_folder / "organs.dcm", like)
        np.testing.assert_array_equal(masks["right_kidney"], expected.data == 1)


@given(seed=st.integers(0, 1000), empty=st.booleans())
@settings(max_examples=15, deadline=None)
def test_any_mask_round_trips(tmp_path_factory, seed, empty):
    folder = tmp_path_factory.mktemp("seg")
    write_ct(folder / "ct")
    other = np.zeros((4, 5, 6), bool) if empty else random_mask(seed + 1)
    write_seg(folder / "s", folder / "ct", {"a": random_mask(seed), "b": other})
    masks = read_dicom_seg(folder / "s", read_ct(folder / "ct"))
    np.testing.assert_array_equal(masks["a"], random_mask(seed))
    np.testing.assert_array_equal(masks["b"], other)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda s: s.name)
def test_fractions_of_a_half_or_more_count(tmp_path, syntax):
    write_ct(tmp_path / "ct")
    share = np.random.default_rng(0).integers(0, 256, (4, 5, 6)) / 255
    share[0, 0] = np.array([0, 0, 127, 128, 255, 126]) / 255
    write_seg(tmp_path / "s.dcm", tmp_path / "ct", {"Spleen": share}, fractional=True, syntax=syntax)
    masks = read_dicom_seg(tmp_path / "s.dcm", read_ct(tmp_path / "ct"))
    np.testing.assert_array_equal(masks["spleen"], share >= 0.5)


def test_segments_with_the_same_name_are_merged(tmp_path):
    write_ct(tmp_path / "ct")
    write_seg(tmp_path / "s.dcm", tmp_path / "ct", {"Tumor": random_mask(0), "tumor": random_mask(1)})
    (mask,) = read_dicom_seg(tmp_path / "s.dcm", read_ct(tmp_path / "ct")).values()
    np.testing.assert_array_equal(mask, random_mask(0) | random_mask(1))


def check_refused(path, like, message):
    with pytest.raises(UserError, match=message) as caught:
        read_dicom_seg(path, like)
    for secret in PATIENT.values():
        assert secret not in str(caught.value)


def moved(scan, linear=None, offset_mm=(0, 0, 0)):
    affine = scan.affine @ np.diag([*(linear or (1, 1, 1)), 1])
    affine[:3, 3] += scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0) @ offset_mm
    return Scan(scan.data, affine, scan.header, scan.shape)


@pytest.mark.parametrize(
    ("linear", "offset_mm", "message"),
    [
        (None, (0, 0, 0.3), r"is not on a slice of its CT, but 0\.3 mm"),
        (None, (0.1, 0, 0), r"is not on a slice of its CT, but 0\.1 mm"),
        (None, (0, 0, 1.25), r"but 1\.25 mm"),
        (None, (0, 0, 50), "is not on a slice of its CT, but .* or some slices away; give the CT it was annotated on"),
        ((1, 1, 2), None, r"but 2\.5 mm"),
        ((1.1, 1, 1), None, r"but 0\.21 mm"),
        ((0.5, 1, 1), None, "is not on a slice"),
        (None, (0.7, 0, 0), r"frames of \(4, 5\) voxels that begin at voxel \[-1, 0, \d\] of its CT"),
    ],
)
def test_another_grid_is_refused(organs_folder, linear, offset_mm, message):
    like = moved(read_ct(organs_folder / "ct"), linear, offset_mm or (0, 0, 0))
    check_refused(organs_folder / "organs.dcm", like, message)


def test_rounding_in_the_header_is_accepted(organs_folder):
    like = moved(read_ct(organs_folder / "ct"), None, (0.02, 0.02, 0.02))
    np.testing.assert_array_equal(read_dicom_seg(organs_folder / "organs.dcm", like)["liver"], random_mask(0))


def test_another_size_or_direction_is_refused(organs_folder):
    scan = read_ct(organs_folder / "ct")
    larger = Scan(np.zeros((4, 6, 6), np.int16), scan.affine, scan.header, (4, 6, 6))
    check_refused(organs_folder / "organs.dcm", larger, r"frames of \(4, 5\) voxels .* which has \(4, 6\) per slice")
    straight = Scan(scan.data, np.diag([0.7, 0.8, 2.5, 1]), scan.header, scan.shape)
    check_refused(organs_folder / "organs.dcm", straight, "is not on a slice")


def test_other_files_than_segmentations_are_refused(organs_folder, tmp_path):
    scan = read_ct(organs_folder / "ct")
    check_refused(organs_folder / "ct" / "000.dcm", scan, "000.dcm holds CT Image Storage, not a binary .*; give masks")
    (tmp_path / "text.dcm").write_text("liver")
    check_refused(tmp_path / "text.dcm", scan, "cannot read .*text.dcm")
    file = pydicom.dcmread(organs_folder / "organs.dcm")
    file.SegmentationType = "LABELMAP"
    file.save_as(tmp_path / "map.dcm")
    check_refused(
        tmp_path / "map.dcm", scan, "holds Segmentation Storage LABELMAP, not a binary or fractional DICOM .*; give"
    )


def test_contours_are_refused_with_their_own_remedy(organs_folder, tmp_path):
    contours = pydicom.dcmread(organs_folder / "ct" / "000.dcm")
    contours.SOPClassUID, contours.Modality = RTStructureSetStorage, "RTSTRUCT"
    contours.save_as(tmp_path / "rt.dcm")
    message = "rt.dcm holds RT Structure Set Storage, not a binary .*; convert its contours to masks as NIfTI"
    check_refused(tmp_path / "rt.dcm", read_ct(organs_folder / "ct"), message)
    with pytest.raises(UserError, match=message):
        segment_names(tmp_path / "rt.dcm")


def test_a_truncated_segmentation_is_refused(organs_folder, tmp_path):
    whole = (organs_folder / "organs.dcm").read_bytes()
    scan = read_ct(organs_folder / "ct")
    for length in (0, 100, 140, 800, len(whole) // 2, len(whole) - 20, len(whole) - 4):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        check_refused(tmp_path / "cut.dcm", scan, "cannot read .*cut.dcm")


def test_frames_without_a_segment_or_pixels_are_refused(organs_folder, tmp_path):
    scan = read_ct(organs_folder / "ct")
    file = pydicom.dcmread(organs_folder / "organs.dcm")
    file.SegmentSequence = file.SegmentSequence[:1]
    file.save_as(tmp_path / "lost.dcm")
    check_refused(tmp_path / "lost.dcm", scan, "cannot read .*lost.dcm")
    file = pydicom.dcmread(organs_folder / "organs.dcm")
    file.PerFrameFunctionalGroupsSequence = file.PerFrameFunctionalGroupsSequence[:-1]
    file.save_as(tmp_path / "fewer.dcm")
    check_refused(tmp_path / "fewer.dcm", scan, "describes 7 frames and holds 8; export it again")


def test_a_folder_of_series_and_segmentations_is_a_data_set(tmp_path):
    masks = {"Liver": np.zeros((4, 5, 6), bool), "Right Kidney": np.zeros((4, 5, 6), bool)}
    masks["Liver"][1:3, 1:4, 1:5] = True
    masks["Right Kidney"][2:, 3:, 4:] = True
    ct = write_ct(tmp_path / "images" / "a")
    (tmp_path / "labels").mkdir()
    write_seg(tmp_path / "labels" / "a.dcm", ct, masks)
    (case,) = Folder(tmp_path, {}).cases("set")
    assert (case.image, case.label) == (ct, SegFile(tmp_path / "labels" / "a.dcm"))
    organs = ["spleen", "liver", "right_kidney"]
    assert known_classes(case.label, organs) == [True, False, True, True]
    classes = case.label.read(case.read(), case.image, organs)
    assert np.array_equal(classes, np.select([masks["Right Kidney"], masks["Liver"]], [3, 2]))


def test_structures_of_a_damaged_segmentation_are_an_error(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no")
    with pytest.raises(UserError, match="is damaged or not a DICOM segmentation"):
        _ = SegFile(tmp_path / "a.dcm").structures


def write_kidneys(folder):
    """Write a segmentation with a liver and two segments labelled Kidney, which differ only in their coded sides."""
    types = [
        ("Kidney", codes.SCT.Kidney, codes.SCT.Right),
        ("Kidney", codes.SCT.Kidney, codes.SCT.Left),
        ("Hepar", codes.SCT.Liver, None),
    ]
    masks = {str(n): random_mask(n) for n in range(3)}
    ct = write_ct(folder / "images" / "a")
    (folder / "labels").mkdir()
    return write_seg(folder / "labels" / "a.dcm", ct, masks, types=types)


NAMES = [
    {"right_kidney": "Right Kidney", "left_kidney": "left kidney", "liver": "Hepar"},
    {"right_kidney": ["right_kidney"], "left_kidney": ["LEFT SCT:64033007"], "liver": ["Liver"]},
    {"right_kidney": [3, "Right Kidney"], "left_kidney": ["x", "Left Kidney"], "liver": [1, "SCT:10200004"]},
]


@pytest.mark.parametrize("names", NAMES)
def test_segments_are_matched_by_label_or_by_coded_type_and_side(tmp_path, names):
    write_kidneys(tmp_path)
    (case,) = Folder(tmp_path, names).cases("set")
    organs = ["liver", "left_kidney", "right_kidney", "spleen"]
    assert known_classes(case.label, organs) == [True, True, True, True, False]
    expected = np.select([random_mask(0), random_mask(1), random_mask(2)], [3, 2, 1])
    np.testing.assert_array_equal(case.label.read(case.read(), case.image, organs), expected)


def test_segments_may_share_a_structure_and_default_names_include_the_side(tmp_path):
    path = write_kidneys(tmp_path)
    # In the order of the file: the synthesis from a label map depends on the order of its structures.
    assert segment_names(path) == ["right_kidney", "left_kidney", "hepar"]
    scan = read_ct(tmp_path / "images" / "a")
    both = read_dicom_seg(path, scan, {"kidneys": ["Kidney"], "other": ["Hepar"]})
    np.testing.assert_array_equal(both["kidneys"], random_mask(0) | random_mask(1))
    assert set(both) == {"kidneys", "other"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            {"kidney": "Kidney", "liver": "Lever"},
            r"a segment 'Hepar' that label_codes does not name; give each .*there: 'Kidney' \(right_kidney, "
            r"right_sct:64033007\), 'Kidney' \(left_kidney, left_sct:64033007\), 'Hepar' \(liver, sct:10200004\)",
        ),
        (
            {"kidney": "Kidney", "right": "Right Kidney", "liver": "Liver"},
            "'Kidney' that label_codes gives to kidney and",
        ),
    ],
)
def test_an_error_about_names_lists_those_in_the_file(tmp_path, names, message):
    write_kidneys(tmp_path)
    (case,) = Folder(tmp_path, names).cases("set")
    for use in (lambda: case.label.structures, lambda: case.label.read(case.read(), case.image, ["liver"])):
        with pytest.raises(UserError, match=message):
            use()


def test_names_are_part_of_the_cache_key():
    assert SegFile("a").cache_key == {}
    assert SegFile("a", {"liver": ("Hepar",)}).cache_key == {"liver": ["Hepar"]}


def test_frames_may_be_off_by_the_jitter_of_their_slices(tmp_path):
    """Slice positions jitter by 0.02 mm. The volume uses the first and the last; each frame uses its own."""
    positions = np.array(stack_positions(6, 0.5)) + np.random.default_rng(3).uniform(-0.02, 0.02, (6, 3))
    ct = write_series(tmp_path / "ct", positions, **NEEDED, SeriesInstanceUID="1.2.3.4")
    write_seg(tmp_path / "a.dcm", ct, {"Liver": random_mask(0)})
    scan = read_ct(ct)
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "a.dcm", scan)["liver"], random_mask(0))
    offset_mm, offset_voxels = max_frame_offset(tmp_path / "a.dcm", scan)
    lps = np.diag([-1, -1, 1])
    offsets = [scan.affine[:3] @ [0, 0, k, 1] - lps @ positions[k].round(6) for k in (1, 2, 4, 5)]  # slices with frames
    assert offset_mm == pytest.approx(max(np.linalg.norm(offset) for offset in offsets), abs=1e-6)
    assert offset_voxels == pytest.approx(
        max(np.abs(offset / (0.7, 0.8, scan.affine[2, 2])).max() for offset in offsets), abs=1e-4
    )


def test_a_unique_label_decides_over_the_coded_type_of_another_segment(tmp_path):
    types = [("Liver", codes.SCT.Liver, None), ("Spleen", codes.SCT.Liver, None)]
    masks = {str(n): random_mask(n) for n in range(2)}
    ct = write_ct(tmp_path / "images" / "a")
    (tmp_path / "labels").mkdir()
    path = write_seg(tmp_path / "labels" / "a.dcm", ct, masks, types=types)
    found = read_dicom_seg(path, read_ct(tmp_path / "images" / "a"), {"liver": ["Liver"], "spleen": ["Spleen"]})
    np.testing.assert_array_equal(found["spleen"], random_mask(1))
