import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from segment.errors import UserError
from segment.io import nifti
from segment.io.nifti import read_nifti
from segment.io.read import read_ct, read_grid, read_label


def write(path, change, sform=False, qform=True):
    """Write a CT of 2x3x4 mm voxels with a header that is changed without nibabel's checks."""
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    image.set_sform(affine, int(sform))
    image.set_qform(affine, int(qform))
    image.to_filename(path)
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    change(header)
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


def pixdim(*values, first=1):
    def change(header):
        header["pixdim"][first : first + len(values)] = values

    return change


@pytest.mark.parametrize("cut", [None, -4, -9])  # the checksum is followed by four bytes for the length
def test_a_gzip_file_is_read_piece_by_piece_to_its_checksum(tmp_path, monkeypatch, cut):
    monkeypatch.setattr(nifti, "_PIECE", 100)
    values = np.random.default_rng(0).integers(-999, 999, (9, 8, 7)).astype(">i2")
    content = nib.Nifti1Image(values, np.diag([2.0, 2.0, 2.0, 1.0]), nib.Nifti1Header(endianness=">")).to_bytes()
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:])[:cut])  # two members
    if cut is None:
        assert np.array_equal(read_nifti(path).data, values)
    else:
        with pytest.raises(EOFError):
            read_nifti(path)


def test_a_wrong_checksum_of_a_gzip_file_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "_PIECE", 100)
    content = bytearray(gzip.compress(nib.Nifti1Image(np.zeros((9, 8, 7), np.int16), np.eye(4)).to_bytes()))
    content[-8] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(gzip.BadGzipFile, match="CRC check failed"):
        read_nifti(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("qform", [True, False])
@pytest.mark.parametrize(
    ("values", "shown"),
    [((0, 0, 0), "0x0x0"), ((2, 3, 0), "2x3x0"), ((2, 3, -4), "2x3x-4"), ((np.nan, 3, 4), r"\?x3x4")],
)
def test_an_impossible_pixdim_is_refused(tmp_path, values, shown, qform):
    path = write(tmp_path / "ct.nii", pixdim(*values), qform=qform)
    for read in (read_ct, read_label, read_grid):
        with pytest.raises(UserError, match=rf"ct\.nii states a voxel size of {shown} mm; .* into its header"):
            read(path)


def test_an_sform_needs_no_pixdim(tmp_path):
    scan = read_ct(write(tmp_path / "ct.nii", pixdim(0, 0, 0), sform=True, qform=False))
    np.testing.assert_array_equal(scan.affine, np.diag([-2, -3, 4, 1]))
    assert scan.is_oriented


@pytest.mark.parametrize("change", [pixdim(-2, 3, -4), pixdim(0, 0, 0)])
def test_nibabels_own_log_of_header_fixes_is_suppressed(tmp_path, change, caplog):
    path = write(tmp_path / "ct.nii", change, sform=True, qform=False)
    nib.load(path)
    assert {record.name for record in caplog.records} == {"nibabel.global"}
    caplog.clear()
    for read in (read_label, read_grid):
        read(path)
    assert not caplog.records
    assert not nib.imageglobals.logger.disabled


@pytest.mark.parametrize("qfac", [-2, 0.5, np.nan])
def test_an_invalid_qfac_is_refused(tmp_path, qfac):
    path = write(tmp_path / "ct.nii", pixdim(qfac, first=0))
    with pytest.raises(UserError, match=r"has the qfac \(pixdim\[0\]\) .*so left and right are unknown"):
        read_ct(path)
    assert not read_ct(write(tmp_path / "ct.nii", pixdim(qfac, first=0), qform=False)).is_oriented


def test_a_qfac_of_0_is_read_as_1(tmp_path):
    """As defined in nifti1.h."""
    expected = read_ct(write(tmp_path / "a.nii", pixdim(1, first=0))).affine
    np.testing.assert_array_equal(read_ct(write(tmp_path / "b.nii", pixdim(0, first=0))).affine, expected)


def test_a_quaternion_that_is_not_a_rotation_is_refused(tmp_path, caplog):
    def change(header):
        header["quatern_b"], header["quatern_c"] = 0.9, 0.9

    with pytest.raises(UserError, match="has a qform whose quaternion is longer than 1"):
        read_ct(write(tmp_path / "ct.nii", change))
    assert read_ct(write(tmp_path / "ct.nii", change, sform=True)).is_oriented
    assert "has a qform that is no rotation; the sform is used" in caplog.text


def test_an_unknown_form_code_is_read_as_0(tmp_path):
    def change(header):
        header["qform_code"] = 77

    assert not read_ct(write(tmp_path / "ct.nii", change)).is_oriented


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("dtype", "slope", "inter", "kept"),
    [
        ("<i2", 1.0, -1024.0, True),
        ("<i2", 2.0, 1.0, True),
        ("<i2", 0.5, 0.0, False),
        ("<i2", 1.0, 0.5, False),
        ("<i2", 1.0, -32768.0, False),  # the results do not fit
        (">i2", 1.0, -1024.0, False),
        ("<u2", 1.0, -1024.0, False),
    ],
)
def test_int16_is_scaled_in_its_own_memory(tmp_path, suffix, dtype, slope, inter, kept):
    """The numbers are those of nibabel, whatever the type, and the file is not changed."""
    stored = np.random.default_rng(0).integers(0 if "u" in dtype else -600, 3000, (4, 6, 5))
    empty = nib.Nifti1Header(endianness="<" if dtype[0] == "<" else ">")
    image = nib.Nifti1Image(stored.astype(dtype), np.eye(4), empty)
    image.header.set_data_dtype(dtype)
    image.header.set_slope_inter(1, 0)
    nib.save(image, tmp_path / f"ct{suffix}")
    content = bytearray(_bytes(tmp_path / f"ct{suffix}"))
    order = ">" if dtype[0] == ">" else "<"
    content[112:120] = np.array([slope, inter], f"{order}f4").tobytes()
    opened = gzip.open if suffix == ".nii.gz" else open
    with opened(tmp_path / f"ct{suffix}", "wb") as file:
        file.write(bytes(content))
    values = read_nifti(tmp_path / f"ct{suffix}").data
    assert (values.dtype == np.int16) == kept
    assert np.array_equal(values, stored * slope + inter)
    assert _bytes(tmp_path / f"ct{suffix}") == bytes(content)
    assert np.array_equal(np.asarray(nib.load(tmp_path / f"ct{suffix}").dataobj), values)


def test_a_file_with_one_frame_is_scaled_slice_by_slice(tmp_path):
    stored = np.zeros((64, 64, 64, 1), np.int16)
    image = nib.Nifti1Image(stored, np.eye(4))
    image.header.set_slope_inter(0.5, 0)
    nib.save(image, tmp_path / "ct.nii")
    read_nifti(tmp_path / "ct.nii")
    tracemalloc.start()
    try:
        assert read_nifti(tmp_path / "ct.nii").data.shape == (64, 64, 64)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * 4 * stored.size  # as float64, it would be twice
    finally:
        tracemalloc.stop()


def _bytes(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return file.read()
