import gzip
import itertools
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segment.errors import UserError
from segment.io.read import read_ct, read_label
from segment.io.scan import Scan, case_name, on_grid_of
from segment.io.write import write_mask

SHAPE = (4, 5, 6)
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product([1, -1], repeat=3)))


def hu(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(0).integers(-1024, 3071, shape).astype(dtype)


def oriented(order, signs, spacing_mm=(0.7, 0.8, 2.5), degrees=0.0, shear=0.0):
    linear = np.zeros((3, 3))
    linear[list(order), range(3)] = signs
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ linear @ np.diag(spacing_mm)
    affine[:3, 2] += shear * affine[:3, 1]
    affine[:3, 3] = (-120.3, 77.7, -340.1)
    return affine


def save(path, data, affine, image_class=nib.Nifti1Image, big_endian=False, sform_code=1, qform_code=1, units="mm"):
    header = image_class.header_class(endianness=">" if big_endian else "<")
    header.set_data_dtype(data.dtype)
    image = image_class(data, None, header)
    image.set_sform(affine, sform_code)
    image.set_qform(affine, qform_code)
    image.header.set_xyzt_units(units)
    image.header["descrip"], image.header["intent_name"], image.header["aux_file"] = "Doe^Jane", "Doe", "doe.txt"
    if image_class is nib.Nifti1Image:
        image.header["db_name"] = "Jane Doe"
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"Doe^Jane 1970-01-01"))
    nib.save(image, path)
    return path


def check_round_trip(path, folder):
    """Check that a mask written for a CT has the CT's geometry, when nibabel reads both."""
    source, scan = nib.load(path), read_ct(path)
    mask = np.random.default_rng(1).integers(0, 5, scan.data.shape, dtype=np.uint8)
    write_mask(folder / "out" / "case_seg.nii.gz", mask, scan)
    written = nib.load(folder / "out" / "case_seg.nii.gz")
    assert written.shape == source.shape == scan.shape
    assert written.affine.tobytes() == source.affine.tobytes() == scan.affine.tobytes()
    for form in ("sform", "qform"):
        assert int(written.header[f"{form}_code"]) == int(source.header[f"{form}_code"])
        assert np.array_equal(getattr(written, f"get_{form}")(), getattr(source, f"get_{form}")())
    assert written.header.get_xyzt_units() == source.header.get_xyzt_units()
    assert written.header.get_zooms() == source.header.get_zooms()
    assert written.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(written.dataobj).reshape(mask.shape), mask)
    assert np.array_equal(scan.data, np.asarray(source.dataobj).reshape(mask.shape))
    assert scan.data.dtype == np.int16
    return scan


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_all_48_orientations(tmp_path, order, signs):
    check_round_trip(save(tmp_path / "ct.nii.gz", hu(), oriented(order, signs)), tmp_path)


@settings(max_examples=40, deadline=None)
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing_mm=st.tuples(*[st.floats(0.3, 8)] * 3),
    degrees=st.floats(-60, 60),
    shear=st.floats(-0.5, 0.5),
    codes=st.sampled_from([(1, 1), (2, 1), (0, 1), (1, 0), (4, 3), (0, 2)]),
    big_endian=st.booleans(),
    image_class=st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    units=st.sampled_from(["mm", "unknown"]),
    one_frame=st.booleans(),
)
def test_any_geometry(
    tmp_path_factory, orientation, spacing_mm, degrees, shear, codes, big_endian, image_class, units, one_frame
):
    folder = tmp_path_factory.mktemp("scan")
    affine = oriented(*orientation, spacing_mm, degrees, shear)
    data = hu(shape=(*SHAPE, 1) if one_frame else SHAPE)
    path = save(folder / "ct.nii", data, affine, image_class, big_endian, codes[0], codes[1], units)
    check_round_trip(path, folder)


def test_neither_form(tmp_path):
    check_round_trip(
        save(tmp_path / "ct.nii", hu(), oriented((0, 1, 2), (1, 1, 1)), sform_code=0, qform_code=0), tmp_path
    )


@pytest.mark.parametrize(("codes", "warned"), [((0, 0), True), ((0, 1), False), ((1, 0), False)])
def test_guessed_axes_are_reported_once(tmp_path, caplog, codes, warned):
    path = save(tmp_path / "ct.nii", hu(), np.diag([1, 1, 1, 1.0]), sform_code=codes[0], qform_code=codes[1])
    read_ct(path)
    messages = [record.getMessage() for record in caplog.records]
    warnings = [message for message in messages if "left and right are a guess" in message]
    assert len(warnings) == warned
    assert all(message.startswith(f"{path} does not state which way its axes run") for message in warnings)


def test_forms_that_disagree_are_both_written(tmp_path):
    image = nib.Nifti1Image(hu(), None)
    image.set_sform(oriented((0, 1, 2), (-1, -1, 1)), 2)
    image.set_qform(oriented((2, 1, 0), (1, 1, 1)), 1)
    nib.save(image, tmp_path / "ct.nii.gz")
    scan = check_round_trip(tmp_path / "ct.nii.gz", tmp_path)
    assert np.allclose(scan.affine, oriented((0, 1, 2), (-1, -1, 1)))


def test_a_mask_contains_no_text_about_the_patient(tmp_path):
    scan = read_ct(save(tmp_path / "ct.nii.gz", hu(), np.eye(4)))
    write_mask(tmp_path / "seg.nii", np.zeros(SHAPE, np.uint8), scan)
    content = (tmp_path / "seg.nii").read_bytes().lower()
    assert b"doe" in gzip.decompress((tmp_path / "ct.nii.gz").read_bytes()).lower()
    assert b"doe" not in content
    assert b"1970" not in content


def test_masks_have_no_scaling_and_are_reproducible_byte_for_byte(tmp_path):
    scan = read_ct(save(tmp_path / "ct.nii.gz", hu(), np.eye(4)))
    mask = np.full(SHAPE, 3, np.uint8)
    write_mask(tmp_path / "a" / "seg.nii.gz", mask, scan)
    write_mask(tmp_path / "b" / "seg.nii.gz", np.asfortranarray(mask), scan)
    assert (tmp_path / "a" / "seg.nii.gz").read_bytes() == (tmp_path / "b" / "seg.nii.gz").read_bytes()
    raw = nib.load(tmp_path / "a" / "seg.nii.gz").dataobj
    assert (raw.slope, raw.inter) == (1, 0)


def test_a_failed_write_keeps_the_old_mask_and_leaves_no_other_file(tmp_path, monkeypatch):
    scan, path = read_ct(save(tmp_path / "ct.nii.gz", hu(), np.eye(4))), tmp_path / "out" / "seg.nii.gz"
    write_mask(path, np.ones(SHAPE, np.uint8), scan)
    before = path.read_bytes()

    def full_disk(image, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_mask(path, np.zeros(SHAPE, np.uint8), scan)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["seg.nii.gz"]


@pytest.mark.parametrize("mask", [np.zeros(SHAPE, np.int16), np.zeros((4, 5, 7), np.uint8)])
def test_a_mask_of_another_kind_or_shape_is_refused(tmp_path, mask):
    scan = read_ct(save(tmp_path / "ct.nii.gz", hu(), np.eye(4)))
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(4, 5, 6\), got"):
        write_mask(tmp_path / "seg.nii.gz", mask, scan)


@pytest.mark.parametrize(
    ("stored", "slope", "inter", "dtype"),
    [
        (np.arange(120, dtype=np.uint16) * 34, 1, -1024, np.int16),
        (np.arange(120, dtype=np.int16), 2, -1000, np.int16),
        (np.arange(120, dtype=np.int16), 0.5, 0.25, np.float32),
        (np.arange(120, dtype=np.uint16) * 500, 1, 0, np.float32),
        (np.arange(120, dtype=np.int32), 1, 0, np.int16),
        (np.arange(120, dtype=np.float64), 1, 0, np.int16),
        (np.arange(120, dtype=np.float32) / 7, 1, 0, np.float32),
        (np.arange(120, dtype=np.uint8), 1, 0, np.int16),
    ],
)
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_hounsfield_units(tmp_path, stored, slope, inter, dtype, byte_order):
    header = nib.Nifti1Header(endianness=byte_order)
    header.set_data_shape(SHAPE)
    header.set_data_dtype(stored.dtype)
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = slope, inter
    content = header.binaryblock + b"\0\0\0\0" + stored.astype(stored.dtype.newbyteorder(byte_order)).tobytes()
    (tmp_path / "ct.nii").write_bytes(content)
    scan = read_ct(tmp_path / "ct.nii")
    assert scan.data.dtype == dtype
    expected = (stored.astype(np.float64) * slope + inter).reshape(SHAPE, order="F")
    assert np.allclose(scan.data, expected, rtol=1e-6, atol=0)


def itk_image(data, affine=None):
    """A SimpleITK image with its geometry in ITK's LPS+ world."""
    image = SimpleITK.GetImageFromArray(data.T)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-120.5, 77.0, -340.0))
    c, s = np.cos(0.4), np.sin(0.4)
    image.SetDirection([0, c, -s, 0, s, c, 1, 0, 0] if affine is None else affine)
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("direction", [None, [1, 0, 0, 0, 1, 0, 0, 0, 1], [-1, 0, 0, 0, -1, 0, 0, 0, 1]])
def test_nrrd_and_metaimage_have_the_geometry_that_itk_reads(tmp_path, suffix, direction):
    path, data = tmp_path / f"ct{suffix}", hu()
    SimpleITK.WriteImage(itk_image(data, direction), str(path), useCompression=True)
    image, scan = SimpleITK.ReadImage(str(path)), read_ct(path)
    for voxel in [(0, 0, 0), (3, 0, 0), (0, 4, 0), (0, 0, 5), (1, 2, 3)]:
        x, y, z = image.TransformIndexToPhysicalPoint(voxel)
        assert scan.affine @ [*voxel, 1] == pytest.approx([-x, -y, z, 1], abs=1e-9)
        assert scan.data[voxel] == image.GetPixel(voxel) == data[voxel]
    mask = (data > 0).astype(np.uint8)
    write_mask(tmp_path / "seg.nii.gz", mask, scan)
    written, itk_mask = nib.load(tmp_path / "seg.nii.gz"), SimpleITK.ReadImage(str(tmp_path / "seg.nii.gz"))
    assert (int(written.header["sform_code"]), int(written.header["qform_code"])) == (1, 1)
    assert np.allclose(written.affine, scan.affine, atol=1e-4)
    assert np.allclose(written.get_qform(), scan.affine, atol=1e-3)
    assert np.allclose(
        itk_mask.TransformIndexToPhysicalPoint((3, 4, 5)), image.TransformIndexToPhysicalPoint((3, 4, 5)), atol=1e-3
    )
    assert np.array_equal(SimpleITK.GetArrayFromImage(itk_mask).T, mask)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_the_axis_of_a_single_frame_is_kept_in_the_shape(tmp_path, suffix):
    SimpleITK.WriteImage(SimpleITK.JoinSeries([itk_image(hu())]), str(tmp_path / f"ct{suffix}"))
    scan = read_ct(tmp_path / f"ct{suffix}")
    assert (scan.shape, scan.data.shape) == ((*SHAPE, 1), SHAPE)
    write_mask(tmp_path / "seg.nii.gz", np.zeros(SHAPE, np.uint8), scan)
    assert nib.load(tmp_path / "seg.nii.gz").shape == (*SHAPE, 1)


@pytest.mark.parametrize("name", ["a.b.nii.gz", "a.b.nii", "a.b.nrrd", "a.b.mha"])
def test_case_names(name):
    assert case_name(Path("/x/y.nii") / name) == "a.b"


def whole_file(tmp_path, name):
    path = tmp_path / name
    if ".nii" in name:
        return save(path, hu(shape=(20, 30, 40)), np.eye(4))
    SimpleITK.WriteImage(itk_image(hu(shape=(20, 30, 40))), str(path))
    return path


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"])
@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.01, 0.5, 0.999, -1, -4, -8])
def test_a_truncated_file_is_refused_by_name(tmp_path, name, keep):
    path = whole_file(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep) if keep < 0 else int(keep * len(content))])
    damaged = "it is damaged, incomplete or not .*"
    too_short = r"its header states \d+ bytes of voxels, and it holds \d+|its compressed voxels end too early"
    for read in (read_ct, read_label):
        with pytest.raises(
            UserError, match=rf"cannot read .*{name}: ({damaged}|{too_short}); copy or download it again"
        ):
            read(path)


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha"])
@pytest.mark.parametrize("content", [b"\0" * 1000, b"not a volume at all", b"\x1f\x8b" + b"x" * 400, b"NRRD0004\n\n"])
def test_invalid_content_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_ct(tmp_path / name)


def test_a_damaged_checksum_is_refused(tmp_path):
    path = whole_file(tmp_path, "ct.nii.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_ct(path)


def test_compression_is_recognised_by_content_not_by_suffix(tmp_path):
    path = save(tmp_path / "ct.nii", hu(), np.eye(4))
    path = path.rename(tmp_path / "ct.nii.gz")
    assert np.array_equal(read_ct(path).data, hu())


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_refused(tmp_path):
    (tmp_path / "folder.nii").mkdir()
    for name in ("no.nii.gz", "folder.nii"):
        with pytest.raises(UserError, match=f"no such file.*{name}"):
            read_ct(tmp_path / name)
    (tmp_path / "ct.dcm").write_bytes(os.urandom(10))
    with pytest.raises(UserError, match=r"ct\.dcm: its name ends in none of \.nii\.gz"):
        read_ct(tmp_path / "ct.dcm")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    data = hu(np.float64)
    data[1, 2, 3] = value
    with pytest.raises(UserError, match=r"ct\.nii holds 1 voxels that are NaN or infinite"):
        read_ct(save(tmp_path / "ct.nii", data, np.eye(4)))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2), (4, 5, 6, 1, 3)])
def test_shapes_other_than_one_volume_are_refused(tmp_path, shape):
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), tmp_path / "ct.nii")
    with pytest.raises(UserError, match=r"ct\.nii has shape \(4, 5.*; give one 3D volume"):
        read_ct(tmp_path / "ct.nii")


def test_itk_files_other_than_one_volume_are_refused(tmp_path):
    flat = SimpleITK.GetImageFromArray(np.zeros((4, 5), np.int16))
    colour = SimpleITK.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    frames = SimpleITK.JoinSeries([itk_image(hu())] * 2)
    for name, image, message in (("a", flat, "shape"), ("b", colour, "3 numbers per voxel"), ("c", frames, "shape")):
        SimpleITK.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
        with pytest.raises(UserError, match=rf"{name}\.nrrd .*{message}"):
            read_ct(tmp_path / f"{name}.nrrd")


def test_colours_and_complex_numbers_are_refused(tmp_path):
    colour = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for data in (colour, np.zeros(SHAPE, np.complex64)):
        nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "ct.nii")
        with pytest.raises(UserError, match=r"ct\.nii holds .* per voxel; give one number"):
            read_ct(tmp_path / "ct.nii")


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.zeros((4, 4)), "states a voxel size of 0x0x0 mm"),
        (np.diag([1.0, 0, 1, 1]), "states a voxel size of 1x0x1 mm"),
        (np.diag([1.0, np.nan, 1, 1]), r"states a voxel size of 1x\?x1 mm"),
        (np.diag([1.0, 1, 3000, 1]), "states a voxel size of 1x1x3000 mm"),
        (
            np.where(np.eye(4, k=3), np.nan, np.eye(4)),
            r"has an unusable affine .*\]; copy or convert it again from its original",
        ),
        (np.array([[1.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]), "has an unusable .*: axes in one plane"),
    ],
)
def test_unusable_affines_are_refused(tmp_path, affine, message):
    image = nib.Nifti1Image(hu(), np.eye(4))
    image.header.set_sform(affine, 1)
    nib.Nifti1Image(hu(), None, image.header).to_filename(tmp_path / "ct.nii")
    with pytest.raises(UserError, match=rf"ct\.nii {message}"):
        read_ct(tmp_path / "ct.nii")


@pytest.mark.parametrize("units", ["meter", "micron"])
def test_units_other_than_millimetres_are_refused(tmp_path, units):
    with pytest.raises(UserError, match=r"ct\.nii states its geometry in metres or microns"):
        read_ct(save(tmp_path / "ct.nii", hu(), np.eye(4), units=units))


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", ">i2", "u2", "i4", "u4"])
def test_labels_keep_their_integer_type(tmp_path, dtype):
    data = np.arange(120).reshape(SHAPE).astype(dtype)
    label = read_label(save(tmp_path / "label.nii.gz", data, np.eye(4), big_endian=dtype.startswith(">")))
    assert label.data.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(label.data, data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_stored_as_floats_become_integers(tmp_path, dtype):
    data = np.arange(120).reshape(SHAPE).astype(dtype)
    label = read_label(save(tmp_path / "label.nii.gz", data, np.eye(4)))
    assert label.data.dtype == np.int32
    assert np.array_equal(label.data, data)


@pytest.mark.parametrize("value", [0.5, 2.06, -0.1, np.nan, np.inf, 1e30])
def test_fractions_in_labels_are_refused(tmp_path, value):
    data = np.zeros(SHAPE, np.float64)
    data[1, 2, 3] = value
    with pytest.raises(UserError, match=r"label\.nii holds (0\.5|2\.06|-0\.1|nan|inf|1e\+30), which is not an integer"):
        read_label(save(tmp_path / "label.nii", data, np.eye(4)))


@pytest.mark.parametrize(
    ("values", "slope", "inter"),
    [
        (np.arange(5, dtype=np.float32) * np.float32(1.0000001), 1, 0),  # 3.0000002
        (np.array([0, 64, 127, 191, 255], np.uint8), 4 / 255, 0),  # 1.0039, 1.9922, 2.9961
        (np.array([0, 10, 20, 31, 41], np.uint8), 25 / 255, 0),  # steps of a tenth: 0.98, 1.96, 3.04, 4.02
    ],
)
def test_labels_with_small_noise_are_rounded(tmp_path, values, slope, inter):
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(values.dtype)
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["scl_slope"], header["scl_inter"] = slope, inter
    which = np.random.default_rng(0).integers(0, 5, SHAPE)
    (tmp_path / "l.nii").write_bytes(header.binaryblock + b"\0\0\0\0" + values[which].tobytes(order="F"))
    stored = np.asarray(nib.load(tmp_path / "l.nii").dataobj)
    assert not np.array_equal(stored, which)
    np.testing.assert_array_equal(read_label(tmp_path / "l.nii").data, which)


def test_a_label_interpolated_by_a_tenth_of_a_voxel_is_refused(tmp_path):
    label = np.zeros((12, 12, 12))
    label[3:8, 3:8, 3:8] = 1
    shifted = ndimage.shift(label, (0.1, 0, 0), order=1)
    with pytest.raises(UserError, match="which is not an integer"):
        read_label(save(tmp_path / "l.nii", shifted.astype(np.float32), np.eye(4)))


def scan_at(affine, shape=SHAPE):
    return Scan(np.zeros(shape, np.uint8), affine, nib.Nifti1Header(), shape)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[:8])
def test_grids_that_differ_by_rounding_are_the_same(order, signs):
    affine = oriented(order, signs, degrees=12)
    on_grid_of(scan_at(affine.astype(np.float32), (512, 512, 3)), scan_at(affine, (512, 512, 3)), "label", "ct")


def test_an_error_about_different_grids_states_both_values():
    affine, moved = np.eye(4), np.eye(4)
    moved[2, 3] = 0.5
    with pytest.raises(UserError, match=r"label l\.nii has shape \(4, 5, 7\) but its CT c\.nii has \(4, 5, 6\)"):
        on_grid_of(scan_at(affine, (4, 5, 7)), scan_at(affine), "l.nii", "c.nii")
    with pytest.raises(
        UserError, match=r"l\.nii is up to 0\.5 mm \(0\.5 voxels\) away from its CT c\.nii: affines .*0\.5.* and "
    ):
        on_grid_of(scan_at(moved), scan_at(affine), "l.nii", "c.nii")


def test_a_small_error_in_spacing_that_adds_up_over_the_volume_is_refused():
    stretched = np.diag([1.0, 1.0, 1.001, 1.0])
    with pytest.raises(UserError, match=r"up to 0\.299 mm"):
        on_grid_of(scan_at(stretched, (9, 9, 300)), scan_at(np.eye(4), (9, 9, 300)), "l", "c")


def test_a_3d_label_matches_a_4d_ct_with_one_frame(tmp_path):
    image = read_ct(save(tmp_path / "ct.nii", hu(shape=(*SHAPE, 1)), np.eye(4)))
    label = read_label(save(tmp_path / "label.nii", np.zeros(SHAPE, np.uint8), np.eye(4)))
    on_grid_of(label, image, "label", "ct")


@pytest.mark.parametrize(("low", "high", "reported"), [(0, 255, True), (0, 1, True), (-1024, 800, False)])
def test_values_that_cannot_be_hu_are_reported(tmp_path, caplog, low, high, reported):
    values = np.linspace(low, high, 60, dtype=np.float32).reshape(3, 4, 5)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "ct.nii")
    assert read_ct(tmp_path / "ct.nii").data.min() == low
    assert ("check that these are HU" in caplog.text) == reported
