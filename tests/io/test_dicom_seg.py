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

from segment.datasets.annotation import SegFile, annotated
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io.dicom_seg import frames_away, read_dicom_seg, segment_names
from segment.io.read import read_ct
from segment.io.scan import Scan

OBLIQUE = (0.8, 0.6, 0, -0.6, 0.8, 0)
NEEDED = dict.fromkeys(("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "PatientSex", "SeriesNumber"), "")


def write_ct(folder, count=6, orientation=AXIAL):
    normal = np.cross(orientation[:3], orientation[3:])
    positions = stack_positions(count, normal=normal)
    return write_series(folder, positions, orientation=orientation, **NEEDED, SeriesInstanceUID="1.2.3.4")


def write_seg(path, ct, masks, fractional=False, syntax=ExplicitVRLittleEndian, types=None):
    """A segmentation by highdicom: masks (I,J,K) by Segment Label, bool, or float from 0 to 1 if fractional.

    Types holds (Segment Label, coded type, coded side or None) of every mask, in place of the labels alone.
    """
    types = types or [(label, codes.SCT.Liver, None) for label in masks]
    sources = sorted((pydicom.dcmread(p) for p in ct.iterdir()), key=lambda s: s.InstanceNumber)
    pixels = np.stack(list(masks.values()), axis=-1).T[..., None]  # (organs,K,J,I,1)
    pixels = np.moveaxis(pixels[..., 0], 0, -1)  # (K,J,I,organs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom on names without a family name
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
    mask[..., [0, 3]] = False  # slices that a segmentation leaves out
    return mask


def as_stored(scan, axes, flips):
    """The same CT with its axes in another order and direction, as a NIfTI file may hold it."""
    image = nib.Nifti1Image(np.asarray(scan.data), scan.affine)
    turned = image.as_reoriented(np.column_stack([axes, flips]))
    data = np.asarray(turned.dataobj)
    return Scan(data, turned.affine, scan.header, data.shape)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Folder of an oblique CT and of a segmentation with overlapping masks."""
    folder = tmp_path_factory.mktemp("seg")
    write_ct(folder / "ct", orientation=OBLIQUE)
    write_seg(folder / "organs.dcm", folder / "ct", {"Liver": random_mask(0), "Right  Kidney": random_mask(1)})
    return folder


def test_masks_come_back_by_name(drawn):
    masks = read_dicom_seg(drawn / "organs.dcm", read_ct(drawn / "ct"))
    assert set(masks) == {"liver", "right_kidney"}
    np.testing.assert_array_equal(masks["liver"], random_mask(0))
    np.testing.assert_array_equal(masks["right_kidney"], random_mask(1))
    assert masks["liver"].dtype == bool
    assert (masks["liver"] & masks["right_kidney"]).any()


def test_names_are_as_plain_as_those_of_other_sources(tmp_path):
    write_ct(tmp_path / "ct")
    mask = np.ones((4, 5, 6), bool)
    write_seg(tmp_path / "a.dcm", tmp_path / "ct", {" Kidney-Left": mask, "Vena  Cava": mask})
    assert segment_names(tmp_path / "a.dcm") == {"kidney_left", "vena_cava"}
    assert set(read_dicom_seg(tmp_path / "a.dcm", read_ct(tmp_path / "ct"))) == {"kidney_left", "vena_cava"}


def test_frames_are_fewer_than_slices(drawn):
    assert pydicom.dcmread(drawn / "organs.dcm").NumberOfFrames == 2 * 4


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
def test_masks_lie_on_a_ct_in_any_orientation(drawn, axes):
    scan = read_ct(drawn / "ct")
    for flips in itertools.product((1, -1), repeat=3):
        like = as_stored(scan, axes, flips)
        marked = as_stored(Scan(random_mask(1).astype(np.uint8), scan.affine, scan.header, scan.shape), axes, flips)
        masks = read_dicom_seg(drawn / "organs.dcm", like)
        np.testing.assert_array_equal(masks["right_kidney"], marked.data == 1)


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
def test_fractions_count_from_a_half_on(tmp_path, syntax):
    write_ct(tmp_path / "ct")
    share = np.random.default_rng(0).integers(0, 256, (4, 5, 6)) / 255
    share[0, 0] = np.array([0, 0, 127, 128, 255, 126]) / 255
    write_seg(tmp_path / "s.dcm", tmp_path / "ct", {"Spleen": share}, fractional=True, syntax=syntax)
    masks = read_dicom_seg(tmp_path / "s.dcm", read_ct(tmp_path / "ct"))
    np.testing.assert_array_equal(masks["spleen"], share >= 0.5)


def test_segments_of_the_same_name_are_one_mask(tmp_path):
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
        (None, (0, 0, 0.3), r"lies on no slice of its CT, but 0\.3 mm"),
        (None, (0.1, 0, 0), r"lies on no slice of its CT, but 0\.1 mm"),
        (None, (0, 0, 1.25), r"but 1\.25 mm"),
        (None, (0, 0, 50), "lies on no slice of its CT, but .* or some slices away; give the CT it was annotated on"),
        ((1, 1, 2), None, r"but 2\.5 mm"),
        ((1.1, 1, 1), None, r"but 0\.21 mm"),
        ((0.5, 1, 1), None, "lies on no slice"),
        (None, (0.7, 0, 0), r"frames of \(4, 5\) voxels that begin at voxel \[-1, 0, \d\] of its CT"),
    ],
)
def test_another_grid_is_refused(drawn, linear, offset_mm, message):
    like = moved(read_ct(drawn / "ct"), linear, offset_mm or (0, 0, 0))
    check_refused(drawn / "organs.dcm", like, message)


def test_rounding_in_the_header_is_no_other_grid(drawn):
    like = moved(read_ct(drawn / "ct"), None, (0.02, 0.02, 0.02))
    np.testing.assert_array_equal(read_dicom_seg(drawn / "organs.dcm", like)["liver"], random_mask(0))


def test_another_size_or_direction_is_refused(drawn):
    scan = read_ct(drawn / "ct")
    larger = Scan(np.zeros((4, 6, 6), np.int16), scan.affine, scan.header, (4, 6, 6))
    check_refused(drawn / "organs.dcm", larger, r"frames of \(4, 5\) voxels .* which has \(4, 6\) per slice")
    straight = Scan(scan.data, np.diag([0.7, 0.8, 2.5, 1]), scan.header, scan.shape)
    check_refused(drawn / "organs.dcm", straight, "lies on no slice")


def test_what_is_no_segmentation_is_refused(drawn, tmp_path):
    scan = read_ct(drawn / "ct")
    check_refused(drawn / "ct" / "000.dcm", scan, "000.dcm holds CT Image Storage, no binary .*; give masks")
    (tmp_path / "text.dcm").write_text("liver")
    check_refused(tmp_path / "text.dcm", scan, "cannot read .*text.dcm")
    file = pydicom.dcmread(drawn / "organs.dcm")
    file.SegmentationType = "LABELMAP"
    file.save_as(tmp_path / "map.dcm")
    check_refused(
        tmp_path / "map.dcm", scan, "holds Segmentation Storage LABELMAP, no binary or fractional DICOM .*; give"
    )


def test_contours_are_no_damage(drawn, tmp_path):
    contours = pydicom.dcmread(drawn / "ct" / "000.dcm")
    contours.SOPClassUID, contours.Modality = RTStructureSetStorage, "RTSTRUCT"
    contours.save_as(tmp_path / "rt.dcm")
    message = "rt.dcm holds RT Structure Set Storage, no binary .*; convert its contours to masks as NIfTI"
    check_refused(tmp_path / "rt.dcm", read_ct(drawn / "ct"), message)
    with pytest.raises(UserError, match=message):
        segment_names(tmp_path / "rt.dcm")


def test_a_file_cut_off_anywhere_is_refused(drawn, tmp_path):
    whole = (drawn / "organs.dcm").read_bytes()
    scan = read_ct(drawn / "ct")
    for length in (0, 100, 140, 800, len(whole) // 2, len(whole) - 20, len(whole) - 4):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        check_refused(tmp_path / "cut.dcm", scan, "cannot read .*cut.dcm")


def test_frames_without_a_segment_or_pixels_are_refused(drawn, tmp_path):
    scan = read_ct(drawn / "ct")
    file = pydicom.dcmread(drawn / "organs.dcm")
    file.SegmentSequence = file.SegmentSequence[:1]
    file.save_as(tmp_path / "lost.dcm")
    check_refused(tmp_path / "lost.dcm", scan, "cannot read .*lost.dcm")
    file = pydicom.dcmread(drawn / "organs.dcm")
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
    assert annotated(case.label, organs) == [True, False, True, True]
    classes = case.label.read(case.read(), case.image, organs)
    assert np.array_equal(classes, np.select([masks["Right Kidney"], masks["Liver"]], [3, 2]))


def test_a_damaged_segmentation_has_no_structures(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no")
    with pytest.raises(UserError, match="is damaged or no DICOM segmentation"):
        _ = SegFile(tmp_path / "a.dcm").structures


def kidneys(folder):
    """A segmentation with two segments labelled Kidney, told apart by coded sides alone, and a liver."""
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
def test_segments_are_mapped_to_organs_by_label_or_coded_type_and_side(tmp_path, names):
    kidneys(tmp_path)
    (case,) = Folder(tmp_path, names).cases("set")
    organs = ["liver", "left_kidney", "right_kidney", "spleen"]
    assert annotated(case.label, organs) == [True, True, True, True, False]
    expected = np.select([random_mask(0), random_mask(1), random_mask(2)], [3, 2, 1])
    np.testing.assert_array_equal(case.label.read(case.read(), case.image, organs), expected)


def test_several_segments_may_be_one_structure_and_the_default_names_tell_sides(tmp_path):
    path = kidneys(tmp_path)
    assert segment_names(path) == {"right_kidney", "left_kidney", "hepar"}
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
def test_names_that_do_not_fit_are_refused_with_those_in_the_file(tmp_path, names, message):
    kidneys(tmp_path)
    (case,) = Folder(tmp_path, names).cases("set")
    for use in (lambda: case.label.structures, lambda: case.label.read(case.read(), case.image, ["liver"])):
        with pytest.raises(UserError, match=message):
            use()


def test_what_names_mean_decides_the_classes():
    assert SegFile("a").facts == {}
    assert SegFile("a", {"liver": ("Hepar",)}).facts == {"liver": ["Hepar"]}


def test_frames_may_lie_off_by_the_jitter_of_their_slices(tmp_path):
    """Positions of slices jitter by 0.02 mm: the volume follows the first and the last one, each frame its own."""
    positions = np.array(stack_positions(6, 0.5)) + np.random.default_rng(3).uniform(-0.02, 0.02, (6, 3))
    ct = write_series(tmp_path / "ct", positions, **NEEDED, SeriesInstanceUID="1.2.3.4")
    write_seg(tmp_path / "a.dcm", ct, {"Liver": random_mask(0)})
    scan = read_ct(ct)
    np.testing.assert_array_equal(read_dicom_seg(tmp_path / "a.dcm", scan)["liver"], random_mask(0))
    away_mm, away_voxels = frames_away(tmp_path / "a.dcm", scan)
    lps = np.diag([-1, -1, 1])
    away = [scan.affine[:3] @ [0, 0, k, 1] - lps @ positions[k].round(6) for k in (1, 2, 4, 5)]  # slices with frames
    assert away_mm == pytest.approx(max(np.linalg.norm(each) for each in away), abs=1e-6)
    assert away_voxels == pytest.approx(
        max(np.abs(each / (0.7, 0.8, scan.affine[2, 2])).max() for each in away), abs=1e-4
    )
