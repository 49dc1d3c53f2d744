import itertools
import logging
import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_files import AXIAL, PATIENT, slice_file, stack_positions, voxel_mm, write, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from segment.errors import UserError
from segment.io import dicom
from segment.io.dicom import Series, SeriesFolder, kinds
from segment.io.read import read_ct, read_label
from segment.io.scan import on_grid_of
from segment.io.write import write_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SPACING = (0.8, 0.7)  # between rows, between columns
AXES = [*np.eye(3, dtype=int).tolist(), *(-np.eye(3, dtype=int)).tolist()]
COSINES = [(*row, *column) for row, column in itertools.permutations(AXES, 2) if np.dot(row, column) == 0]
CORONAL = (1, 0, 0, 0, 0, -1)


def random_slice(seed, signed=False, shape=(5, 4)):
    low, high = (-2000, 3000) if signed else (0, 4000)
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int16 if signed else np.uint16)


def rotated(cosines, angles):
    """Direction cosines after rotations about x, y and z."""
    vectors = np.reshape(np.array(cosines, float), (2, 3))
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        matrix = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        matrix[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
        vectors = vectors @ matrix.T
    return vectors.ravel()


def check_voxels(scan, positions, orientation, expected):
    """Check that every voxel of every slice (rows, columns) is in the scan, with its HU, where the standard puts it."""
    assert scan.data.size == sum(plane.size for plane in expected)
    back = np.linalg.inv(scan.affine)
    for position, plane in zip(positions, expected, strict=True):
        for row, column in np.ndindex(plane.shape):
            world = voxel_mm(position, orientation, SPACING, column, row) * (-1, -1, 1)
            index = back @ [*world, 1]
            assert np.abs(index - np.rint(index)).max() < 1e-4
            assert scan.data[tuple(np.rint(index[:3]).astype(int))] == np.float32(plane[row, column])


@given(
    cosines=st.sampled_from(COSINES),
    angles=st.tuples(*[st.floats(-0.7, 0.7)] * 3) | st.just((0, 0, 0)),
    start=st.tuples(*[st.floats(-400, 400)] * 3),
    order=st.permutations(range(4)),
    numbers=st.permutations(range(4)),
    signed=st.booleans(),
    rescale=st.lists(st.tuples(st.sampled_from([1, 0.5, 2.25, -1]), st.integers(-1024, 10)), min_size=4, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_every_voxel_keeps_its_position_and_hu(cosines, angles, start, order, numbers, signed, rescale):
    orientation = np.round(rotated(cosines, angles), 9)
    normal = np.cross(orientation[:3], orientation[3:])
    positions = np.round(stack_positions(4, 2.5, start, normal), 6)
    stored = [random_slice(k, signed) for k in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        write_series(
            Path(folder),
            positions,
            order,
            orientation=orientation,
            InstanceNumber=lambda k: numbers[k],
            stored=lambda k: stored[k],
            RescaleSlope=lambda k: rescale[k][0],
            RescaleIntercept=lambda k: rescale[k][1],
        )
        scan = read_ct(Path(folder), series="1.2.3.4")
    expected = [s * float(slope) + intercept for s, (slope, intercept) in zip(stored, rescale, strict=True)]
    check_voxels(scan, positions, orientation, expected)
    whole = all(np.array_equal(plane, np.rint(plane)) for plane in expected)
    assert scan.data.dtype == (np.int16 if whole else np.float32)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cosines", COSINES, ids=str)
def test_all_48_orders_of_axes_and_slices(tmp_path, cosines, reverse):
    positions = stack_positions(3, 2.0, normal=np.cross(cosines[:3], cosines[3:]))
    order = [2, 1, 0] if reverse else [0, 1, 2]
    write_series(tmp_path, positions, order, orientation=cosines, stored=random_slice)
    scan = read_ct(tmp_path, series="1.2.3.4")
    check_voxels(scan, positions, cosines, [random_slice(k) - 1024.0 for k in range(3)])


def test_a_mask_for_a_series_has_its_geometry(tmp_path):
    write_series(tmp_path / "ct", stack_positions(), stored=random_slice)
    scan = read_ct(tmp_path / "ct")
    assert scan.data.shape == scan.shape == (4, 5, 6)
    assert (scan.header["sform_code"], scan.header["qform_code"]) == (1, 1)
    expected = [[-0.7, 0, 0, 100], [0, -0.8, 0, 90], [0, 0, 2.5, -300], [0, 0, 0, 1]]
    np.testing.assert_allclose(scan.affine, expected, atol=1e-9)
    write_mask(tmp_path / "mask.nii.gz", np.ones((4, 5, 6), np.uint8), scan)
    mask = nib.load(tmp_path / "mask.nii.gz")
    np.testing.assert_allclose(mask.get_qform(), expected, atol=1e-4)
    np.testing.assert_allclose(mask.get_sform(), expected, atol=1e-4)
    assert mask.header.get_xyzt_units()[0] == "mm"
    on_grid_of(read_label(tmp_path / "mask.nii.gz"), scan, "mask", "ct")


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless],
    ids=lambda s: s.name,
)
@pytest.mark.parametrize("signed", [False, True])
def test_transfer_syntaxes(tmp_path, syntax, signed):
    stored = [random_slice(k, signed, (32, 24)) for k in range(3)]
    for plane in stored:
        plane[:3], plane[3:][plane[3:] == 1] = 1, 2  # padding along the border
    for k, position in enumerate(stack_positions(3)):
        # pydicom writes JPEG-LS with at most 15 bits.
        bits = {"BitsStored": 13, "HighBit": 12} if syntax == JPEGLSLossless else {}
        write(tmp_path / f"{k}", slice_file(position, stored=stored[k], PixelPaddingValue=1, **bits), syntax)
    planes = [np.where(s == 1, -1024, s - 1024.0) for s in stored]
    np.testing.assert_array_equal(read_ct(tmp_path).data, np.stack(planes).T)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_jpeg_compressions(tmp_path, compressor):
    stored = random_slice(0, shape=(32, 24))
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor(compressor)
    writer.KeepOriginalImageUIDOn()
    for k in range(2):
        image = SimpleITK.GetImageFromArray(stored[None] + np.uint16(k))
        for tag, value in {
            **{"0008|0060": "CT", "0020|000e": "1.2.3.4", "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL"},
            **{"0020|0032": f"0\\0\\{k}", "0008|0016": str(CTImageStorage), "0020|0037": "1\\0\\0\\0\\1\\0"},
        }.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(tmp_path / f"{k}.dcm"))
        writer.Execute(image)
    written = pydicom.dcmread(tmp_path / "0.dcm")
    assert written.file_meta.TransferSyntaxUID.name.startswith("JPEG")
    np.testing.assert_array_equal(read_ct(tmp_path).data, np.stack([stored, stored + 1]).T)


def test_padding_outside_the_gantry_becomes_air(tmp_path):
    stored = np.array([[-2000, -1500, -1990, 0], [1, 40, 1024, 3]], np.int16)

    def hu(**tags):
        shutil.rmtree(tmp_path)
        write_series(tmp_path, stack_positions(2), stored=stored, RescaleIntercept=-24, **tags)
        return read_ct(tmp_path).data[..., 0].T.tolist()

    assert hu() == [[-2024, -1524, -2014, -24], [-23, 16, 1000, -21]]
    assert hu(PixelPaddingValue=0) == [[-2024, -1524, -2014, -1024], [-23, 16, 1000, -21]]
    assert hu(PixelPaddingValue=0, PixelPaddingRangeLimit=3)[1] == [-1024, 16, 1000, -1024]
    assert hu(PixelPaddingValue=-2000)[0] == [-2024, -1524, -2014, -24]  # darker than air, so unchanged
    assert hu(PixelPaddingValue=-1500, PixelPaddingRangeLimit=-1990, RescaleSlope=0.25)[0] == [-524, -1024, -1024, -24]


def test_padding_stored_as_unsigned_is_recognised_in_signed_pixels(tmp_path):
    header = slice_file((0, 0, 0), stored=np.full((5, 4), -500, np.int16), RescaleIntercept=0)
    header.add_new("PixelPaddingValue", "US", 2**16 - 500)
    write(tmp_path / "0", header)
    header.ImagePositionPatient = [0, 0, 1]
    write(tmp_path / "1", header)
    assert np.unique(read_ct(tmp_path).data).tolist() == [-1024]


def test_tags_that_violate_the_standard_are_read_without_warning(tmp_path):
    for k, position in enumerate(stack_positions(2)):
        path = write(tmp_path / f"{k}", slice_file(position, PixelSpacing=["0.12345678901234", "0.70"]))
        content = path.read_bytes().replace(b"0.12345678901234\\0.70 ", b"0.1234567890123456\\.7 ")
        path.write_bytes(content.replace(b"1.2.3.4\0", b"anon-01\0"))
    assert [s.uid for s in SeriesFolder(tmp_path).series] == ["anon-01"]
    assert read_ct(tmp_path).affine[1, 1] == -0.1234567890123456


def test_kinds_are_found_without_uids_which_anonymizers_may_empty(tmp_path):
    emptied = {"SOPClassUID": "", "SeriesInstanceUID": "", "StudyInstanceUID": "", "SOPInstanceUID": ""}
    for n in range(6):
        path = write(tmp_path / f"ct{n}", slice_file((0, 0, n)))
        header = pydicom.dcmread(path)
        for keyword, value in emptied.items():
            setattr(header, keyword, value)
        header.save_as(path)
    capture = write(tmp_path / "capture", slice_file((0, 0, 9), SOPClassUID=SecondaryCaptureImageStorage))
    header = pydicom.dcmread(capture)
    header.SOPClassUID = header.SeriesInstanceUID = ""
    header.save_as(capture)
    assert SeriesFolder(tmp_path).series == [
        Series("", "Abdomen", 6, "axial"),
        Series("", "Abdomen", 1, "secondary capture"),
    ]
    assert read_ct(tmp_path).shape == (4, 5, 6)


def write_other_files(folder):
    """Write other files that folders from a scanner or an archive contain."""
    for n in range(9):
        localizer = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "orientation": CORONAL}
        write(folder / "a" / f"scout{n}", slice_file((n, n, n), **localizer))
        capture = {"SOPClassUID": SecondaryCaptureImageStorage, "SeriesInstanceUID": "1.2.3.5"}
        write(folder / "a" / f"capture{n}", slice_file((n, n, n), **capture, ImagePositionPatient=None))
        write(folder / f"coronal{n}", slice_file((n, n, n), orientation=CORONAL, SeriesInstanceUID="1.2.3.6"))
        write(folder / f"mr{n}", slice_file((n, n, n), Modality="MR", SeriesInstanceUID="1.2.3.7"))
    write(folder / "DICOMDIR", slice_file((0, 0, 0), SOPClassUID=MediaStorageDirectoryStorage, SeriesInstanceUID=None))
    (folder / "readme.txt").write_text("exported")
    (folder / "empty").write_bytes(b"")
    (folder / "like").write_bytes(b"\x08\x00 but no DICOM")
    (folder / "._000.dcm").write_bytes(b"left behind by a Mac")


def test_only_the_axial_ct_is_read(tmp_path, caplog):
    write_other_files(tmp_path)
    write_series(tmp_path / "ct" / "deep", stack_positions(5), stored=random_slice, name="IM{}")
    scan = read_ct(tmp_path)
    np.testing.assert_array_equal(scan.data, np.stack([random_slice(k) for k in range(5)]).T.astype(int) - 1024)
    assert sorted(SeriesFolder(tmp_path).series, key=lambda s: (s.uid, s.kind)) == [
        Series("1.2.3.4", "Abdomen", 5, "axial"),
        Series("1.2.3.4", "Abdomen", 9, "localizer"),
        Series("1.2.3.5", "Abdomen", 9, "secondary capture"),
        Series("1.2.3.6", "Abdomen", 9, "not axial"),
        Series("1.2.3.7", "Abdomen", 9, "MR"),
    ]
    assert not caplog.records


def test_files_without_a_preamble_are_read(tmp_path):
    write_series(tmp_path, stack_positions(3), stored=random_slice, name="IM{}")
    expected = read_ct(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert {kind for _, kind in kinds(tmp_path.iterdir())} == {"CT"}
    np.testing.assert_array_equal(read_ct(tmp_path).data, expected.data)


def test_kinds_of_files(tmp_path):
    (tmp_path / "case.nii.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "notes.txt").write_text("long enough " * 20)
    (tmp_path / "damaged.dcm").write_text("no header")
    directory = {"SOPClassUID": MediaStorageDirectoryStorage, "SeriesInstanceUID": None}
    for name in ("DICOMDIR", "index.dcm"):
        write(tmp_path / name, slice_file((0, 0, 0), **directory))
    write(tmp_path / "IM0", slice_file((0, 0, 0)))
    write(tmp_path / "IM1", slice_file((0, 0, 0), Modality="MR"))
    found = {path.name: kind for path, kind in kinds(sorted(tmp_path.iterdir()))}
    assert found == {"IM0": "CT", "IM1": "MR", "damaged.dcm": "CT"}


def test_subfolders_can_be_skipped(tmp_path):
    write_series(tmp_path, stack_positions(3))
    write_series(tmp_path / "below", stack_positions(4), SeriesInstanceUID="1.2.9")
    assert [series.slices for series in SeriesFolder(tmp_path).series] == [4, 3]
    assert [series.slices for series in SeriesFolder(tmp_path, recursive=False).series] == [3]


def test_the_largest_axial_ct_is_read_with_a_warning(tmp_path, caplog):
    write_series(tmp_path / "a", stack_positions(4), SeriesInstanceUID="1.2.1")
    write_series(tmp_path / "b", stack_positions(6), SeriesInstanceUID="1.2.2")
    assert read_ct(tmp_path).shape == (4, 5, 6)
    assert "2 axial CTs; reading the one with the most slices, 1.2.2" in caplog.text
    assert read_ct(tmp_path, series="1.2.1").shape == (4, 5, 4)


def check_refused(folder, message, straighten=False, uid=None):
    with pytest.raises(UserError, match=message) as caught:
        read_ct(folder, series=uid, straighten=straighten)
    for secret in PATIENT.values():
        assert secret not in str(caught.value)


def test_series_of_equal_size_are_refused(tmp_path):
    write_series(tmp_path / "a", stack_positions(4), SeriesInstanceUID="1.2.1", SeriesDescription="lung")
    write_series(tmp_path / "b", stack_positions(4), SeriesInstanceUID="1.2.2", SeriesDescription=None)
    both = r"2 axial CT series .*: 1\.2\.1 \(lung, 4 slices, axial\), 1\.2\.2 \(no description, 4 slices, axial\); "
    check_refused(tmp_path, both + r"name its UID in the column series of a manifest \(data=manifest\), or keep one CT")


def test_headers_are_read_once(tmp_path, monkeypatch):
    write_series(tmp_path, stack_positions(4))
    seen = []
    real = dicom.read_header
    monkeypatch.setattr(dicom, "read_header", lambda path: seen.append(path.name) or real(path))
    folder = SeriesFolder(tmp_path)
    assert (len(folder.series), folder.read().shape) == (1, (4, 5, 4))
    assert sorted(seen) == ["000.dcm", "001.dcm", "002.dcm", "003.dcm"]


def test_a_folder_without_the_requested_series_is_refused(tmp_path):
    check_refused(tmp_path, "no axial CT series .* no DICOM images at all; check the path")
    write_other_files(tmp_path)
    check_refused(
        tmp_path, r"no axial CT series .*1\.2\.3\.7 \(Abdomen, 9 slices, MR\); name its UID in the column series"
    )
    check_refused(tmp_path, r"no CT series 1\.2\.3\.7 with one slice per file in ", uid="1.2.3.7")
    assert read_ct(tmp_path, series="1.2.3.6", straighten=True).shape[2] == 9


def test_multi_frame_files_are_refused(tmp_path):
    write(tmp_path / "0", slice_file((0, 0, 0), SOPClassUID=EnhancedCTImageStorage))
    check_refused(tmp_path, r"1\.2\.3\.4 \(Abdomen, 1 slices, enhanced CT\); convert multi-frame files to NIfTI")


@pytest.mark.parametrize("straighten", [False, True])
def test_missing_slices_are_refused(tmp_path, straighten):
    write_series(tmp_path, stack_positions(9))
    (tmp_path / "004.dcm").unlink()
    (tmp_path / "005.dcm").unlink()
    check_refused(tmp_path, r"2 slice\(s\) missing between .*003.dcm and .*006.dcm, which are 7.5 mm", straighten)


@pytest.mark.parametrize("straighten", [False, True])
def test_duplicate_slices_are_refused(tmp_path, straighten):
    write_series(tmp_path, [*stack_positions(5), *stack_positions(2)])
    check_refused(tmp_path, r"duplicate slices: .*000.dcm and .*005.dcm .*\(2 such pairs\); keep one", straighten)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"orientation": CORONAL}, r"mixed orientations .*: \(1\.0, .* and \(1\.0, 0\.0, 0\.0, 0\.0, 0\.0, -1\.0\)"),
        ({"stored": np.zeros((6, 4), np.int16)}, r"mixed sizes .*: \(4, 5\) in .* and \(4, 6\) in .*9.dcm; separate"),
        ({"spacing": (0.8, 0.8)}, r"mixed pixel spacings .*: \(0\.7, 0\.8\) in .* and \(0\.8, 0\.8\)"),
        ({"ImagePositionPatient": None}, "9.dcm has no ImagePositionPatient"),
        ({"PixelSpacing": None}, "9.dcm has no PixelSpacing"),
        ({"RescaleType": "ED"}, "9.dcm holds MONOCHROME2 values in ED; give a series in HU"),
        ({"PhotometricInterpretation": "RGB"}, "9.dcm holds RGB values"),
        ({"RescaleSlope": 0}, "9.dcm: its DICOM header is damaged"),
        ({"PixelData": None}, "cannot decode the pixels of .*9.dcm"),
    ],
)
def test_a_slice_that_differs_from_the_others_is_refused(tmp_path, tags, message):
    write_series(tmp_path, stack_positions(5))
    write(tmp_path / "9.dcm", slice_file((-100, -90, -287.5), **tags))
    check_refused(tmp_path, message, straighten=True)


def test_a_single_slice_and_an_invalid_orientation_are_refused(tmp_path):
    write(tmp_path / "0.dcm", slice_file((0, 0, 0), orientation=(1, 0, 0, 0.5, 1, 0)))
    check_refused(tmp_path, "has 1 slice; a volume needs two")
    write(tmp_path / "1.dcm", slice_file((0, 0, 1)))
    check_refused(tmp_path, "0.dcm has an orientation of .*, not two perpendicular unit vectors")


@pytest.mark.parametrize("syntax", [RLELossless, ImplicitVRLittleEndian], ids=lambda s: s.name)
def test_a_file_truncated_anywhere_is_refused(tmp_path, syntax):
    for k, position in enumerate(stack_positions(3)):
        write(tmp_path / f"{k}.dcm", slice_file(position, stored=random_slice(k, shape=(32, 24))), syntax)
    whole = (tmp_path / "1.dcm").read_bytes()
    for length in (0, 60, 140, 400, len(whole) // 2, len(whole) - 300, len(whole) - 9):
        (tmp_path / "1.dcm").write_bytes(whole[:length])
        missing = "so its position is unknown; copy the file again"
        check_refused(tmp_path, rf"1\.dcm.* (copy it again|{missing}|incomplete; copy the file again)")


def ramp(world):
    """HU that increase along all axes, at LPS+ positions in mm (..., 3)."""
    return world @ (2.0, -3.0, 1.5) + 40


def write_ramp(folder, positions, orientation=AXIAL, shape=(30, 24), **tags):
    rows, columns = np.meshgrid(*map(np.arange, shape), indexing="ij")

    def stored(k):
        along_row, along_column = np.reshape(np.array(orientation, float), (2, 3))
        world = positions[k] + along_row * SPACING[1] * columns[..., None] + along_column * SPACING[0] * rows[..., None]
        return np.rint(ramp(world) * 8).astype(np.int16)

    tags = {"orientation": orientation, "RescaleSlope": 0.125, "RescaleIntercept": 0} | tags
    return write_series(folder, positions, stored=stored, **tags)


def check_ramp(scan):
    """Count the voxels that have the ramp's value, and check that all others are air or at the border to air."""
    index = np.stack(np.meshgrid(*map(np.arange, scan.shape), indexing="ij"), axis=-1)
    world = (index @ scan.affine[:3, :3].T + scan.affine[:3, 3]) * (-1, -1, 1)
    good = np.abs(scan.data - ramp(world)) < 0.13  # the ramp is stored in eighths
    air = scan.data == -1024
    border = ~(good | air)
    assert border.any(axis=0).sum(axis=0).max() <= 2 or border.any(axis=1).sum(axis=0).max() <= 2  # rows or columns
    return good.sum()


def test_a_tilted_gantry_is_refused_or_straightened(tmp_path):
    # The planes are tilted by 15 degrees about x; the table moves along z.
    angle = np.radians(15)
    orientation = (1, 0, 0, 0, np.cos(angle), np.sin(angle))
    write_ramp(tmp_path, stack_positions(8, 2.5, (-8.0, 5.0, 20.0)), orientation)
    shift_mm = 7 * 2.5 * np.sin(angle)
    check_refused(tmp_path, rf"by up to {shift_mm:.3g} mm within .*tilt of 15 degrees\); .*straighten=true")
    scan = read_ct(tmp_path, straighten=True)
    linear = scan.affine[:3, :3] / np.linalg.norm(scan.affine[:3, :3], axis=0)
    np.testing.assert_allclose(linear.T @ linear, np.eye(3), atol=1e-6)
    assert scan.shape == (24, 30 + int(np.ceil(shift_mm / 0.8)), 8)
    assert np.linalg.norm(scan.affine[:3, 2]) == pytest.approx(2.5 * np.cos(angle))
    assert check_ramp(scan) >= 24 * 29 * 8  # one row of each slice has only one neighbour


def test_uneven_slices_are_refused_or_spaced_evenly(tmp_path):
    offsets = np.array([0, 1, 2, 3, 4, 5.5, 7, 8.5, 10])
    write_ramp(tmp_path, [np.array([3.0, 4.0, 5.0 + z]) for z in offsets])
    check_refused(tmp_path, "the slices in .* are 1 to 1.5 mm apart; run segment predict with straighten=true")
    scan = read_ct(tmp_path, straighten=True)
    assert scan.shape == (24, 30, 9)  # the median of four gaps of 1 and four of 1.5 is 1.25
    assert scan.affine[2, 2] * (scan.shape[2] - 1) == pytest.approx(10)
    assert check_ramp(scan) == scan.data.size


def test_one_misplaced_slice_is_refused_or_resampled(tmp_path):
    offsets = [0, 1, 2.2, 3, 4]
    write_ramp(tmp_path / "along", [np.array([3.0, 4.0, 5.0 + z]) for z in offsets])
    check_refused(tmp_path / "along", r"are 0\.8 to 1\.2 mm apart")
    assert check_ramp(read_ct(tmp_path / "along", straighten=True)) == 24 * 30 * 5
    write_ramp(tmp_path / "across", [np.array([3.0 + (z == 2), 4.0, 5.0 + z]) for z in range(5)])
    check_refused(tmp_path / "across", "are shifted by up to 1 mm within their planes")
    scan = read_ct(tmp_path / "across", straighten=True)
    assert scan.shape == (26, 30, 5)
    assert check_ramp(scan) >= 23 * 30 * 5


def test_a_tilt_with_uneven_gaps_is_straightened(tmp_path):
    angle = np.radians(-20)
    orientation = (1, 0, 0, 0, np.cos(angle), np.sin(angle))
    offsets = [0, 1, 2, 3, 4.4, 5.8]
    write_ramp(tmp_path, [np.array([3.0, 4.0, 5.0 - z]) for z in offsets], orientation)
    scan = read_ct(tmp_path, straighten=True)
    assert scan.affine[2, 2] > 0
    assert check_ramp(scan) > 24 * 28 * scan.shape[2]


def test_a_wide_gap_between_consecutive_instance_numbers_is_uneven_not_missing(tmp_path):
    offsets = [0, 1, 2, 3, 4, 6, 8]
    write_ramp(tmp_path, [np.array([3.0 + z / 1000, 4.0, 5.0 + z]) for z in offsets])  # rounding, no tilt
    scan = read_ct(tmp_path, straighten=True)
    assert scan.shape == (24, 30, 9)
    assert check_ramp(scan) == scan.data.size


def test_uneven_slices_keep_a_shift_that_is_too_small_for_a_tilt(tmp_path):
    offsets = np.cumsum([0, *[12.5] * 12, *[13.0] * 14])  # 332 mm
    shift_mm = np.tan(np.radians(0.095)) * offsets
    assert shift_mm[-1] == pytest.approx(0.55, abs=0.01)
    write_ramp(tmp_path, [np.array([3.0 + x, 4.0, 5.0 + z]) for x, z in zip(shift_mm, offsets, strict=True)])
    check_refused(tmp_path, "are 12.5 to 13 mm apart")
    scan = read_ct(tmp_path, straighten=True)
    assert scan.shape[:2] == (24, 30)
    assert check_ramp(scan) == scan.data.size


def test_a_regular_series_is_not_resampled(tmp_path):
    jitter = np.random.default_rng(0).uniform(-0.004, 0.004, (6, 3))  # rounding in the header
    write_series(tmp_path, np.array(stack_positions(6, 0.625)) + jitter, stored=random_slice)
    one, two = read_ct(tmp_path), read_ct(tmp_path, straighten=True)
    np.testing.assert_array_equal(one.data, two.data)
    np.testing.assert_array_equal(one.affine, two.affine)
    np.testing.assert_array_equal(one.data, np.stack([random_slice(k) for k in range(6)]).T.astype(int) - 1024)


@given(seed=st.integers(0, 1000), gap=st.sampled_from([0.5, 0.625, 1.0, 5.0]))
@settings(max_examples=20, deadline=None)
def test_positions_with_a_jitter_of_two_hundredths_of_a_millimetre_are_regular(seed, gap):
    jitter = np.random.default_rng(seed).uniform(-0.02, 0.02, (6, 3))
    with tempfile.TemporaryDirectory() as folder:
        positions = np.array(stack_positions(6, gap)) + jitter
        scan = read_ct(write_series(Path(folder) / "ct", positions, stored=random_slice))
    lps = np.diag([-1, -1, 1])
    for k, position in enumerate(positions):
        offset_mm = scan.affine[:3] @ [0, 0, k, 1] - lps @ position
        assert np.abs(offset_mm / (0.7, 0.8, gap)).max() < 0.1


def test_spacings_and_directions_may_be_rounded_differently_in_each_slice(tmp_path):
    shape = (512, 512)
    stored = np.zeros(shape, np.int16)
    spacing = [(0.703125, 0.703125), (0.70313, 0.70313), (0.703, 0.703)]  # 0.06 mm apart over the slice
    axes = [(1, 0, 0, 0, 1, 0), (1, 0.0001, 0, -0.0001, 1, 0), (1, 0, 0, 0, 1, 0)]
    for k in range(3):
        write(tmp_path / f"{k}", slice_file((0, 0, k), axes[k], stored, spacing[k]))
    scan = read_ct(tmp_path)
    np.testing.assert_allclose(scan.affine, np.diag([-0.703125, -0.703125, 1, 1]))
    write(tmp_path / "2", slice_file((0, 0, 2), axes[2], stored, (0.70, 0.70)))  # 1.6 mm
    check_refused(tmp_path, "slices of mixed pixel spacings")
    write(tmp_path / "2", slice_file((0, 0, 2), (1, 0.001, 0, -0.001, 1, 0), stored, spacing[0]))  # 0.36 mm
    check_refused(tmp_path, "slices of mixed orientations")


@pytest.mark.parametrize(("spacing", "shown"), [((-3, 3), "-3x3"), ((3, 0), "3x0"), ((3, 3000), "3x3000")])
def test_an_impossible_pixel_spacing_is_refused(tmp_path, spacing, shown):
    write_series(tmp_path, stack_positions(3), spacing=spacing)
    check_refused(tmp_path, rf"\.dcm states a voxel size of {shown} mm")


def test_slices_too_far_apart_are_refused(tmp_path):
    write_series(tmp_path, stack_positions(3, 500.0))
    check_refused(tmp_path, "states a voxel size of 0.7x0.8x500 mm")


def test_no_error_or_log_names_the_patient(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    write_series(tmp_path / "a", stack_positions(4), SeriesInstanceUID="1.2.1")
    write_series(tmp_path / "b", stack_positions(3), SeriesInstanceUID="1.2.2")
    texts = [str(SeriesFolder(tmp_path).series), str(read_ct(tmp_path).header), caplog.text]
    whole = (tmp_path / "b" / "001.dcm").read_bytes()
    for length in range(140, len(whole), 100):
        (tmp_path / "b" / "001.dcm").write_bytes(whole[:length])
        with pytest.raises(UserError) as caught:
            read_ct(tmp_path, series="1.2.2")
        texts += [str(caught.value), repr(caught.value.__cause__)]
    for secret in PATIENT.values():
        assert not any(secret in text for text in texts)


@pytest.mark.skipif(not (SHARED / "dicom_ct").is_dir(), reason="the real DICOM series is not in ../shared/data")
def test_a_real_series_is_read_as_itk_reads_it():
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(SHARED / "dicom_ct")))
    image = reader.Execute()
    scan = read_ct(SHARED / "dicom_ct")
    assert scan.data.dtype == np.int16
    np.testing.assert_array_equal(scan.data, SimpleITK.GetArrayFromImage(image).T)
    for index in itertools.product(*((0, n - 1) for n in scan.shape)):
        expected = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose(scan.affine[:3] @ [*index, 1], expected, atol=1e-3)
    label = SHARED / "dicom_ct_label" / "label.nii.gz"
    on_grid_of(read_label(label), scan, label, "dicom_ct")
    liver = scan.data[read_label(label).data == 1]
    assert 0 < np.median(liver) < 200
