"""Damaged and malicious files: a short form of benchmarks/fuzz_inputs.py, and files that are made to exhaust memory."""

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from damaged_files import AFFINE, SHAPE, hu, write_originals
from dicom_files import slice_file, stack_positions, write

from segment.errors import UserError
from segment.io.printable import printable
from segment.io.read import read_ct

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz_inputs.py"


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return write_originals(tmp_path_factory.mktemp("originals"))


def header(shape, dtype=np.int16):
    result = nib.Nifti1Header() if max(shape) < 32768 else nib.Nifti2Header()
    result.set_data_dtype(dtype)
    result.set_data_shape(shape)
    result.set_sform(AFFINE, 1)
    result.set_xyzt_units("mm")
    return result.binaryblock + bytes(4)


def refused(path, *words):
    with pytest.raises(UserError) as caught:
        read_ct(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message
    return message


def test_forty_damaged_files():
    result = subprocess.run(
        [sys.executable, FUZZ, "--count", "40", "--seed", "1"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
    assert "40 files, 0 bad" in result.stdout


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_more_than_the_memory(tmp_path, name):
    content = header((50_000, 50_000, 50_000))
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    refused(tmp_path / name, "50000x50000x50000 voxels", "GB of memory")


def test_a_text_header_that_claims_more_than_the_memory(tmp_path):
    lines = ["NRRD0004", "type: short", "dimension: 3", "space: left-posterior-superior", "sizes: 50000 50000 50000"]
    lines += ["space directions: (1,0,0) (0,1,0) (0,0,1)", "endian: little", "encoding: raw", "space origin: (0,0,0)"]
    (tmp_path / "a.nrrd").write_text("\n".join(lines) + "\n\n")
    refused(tmp_path / "a.nrrd", "50000x50000x50000 voxels", "GB of memory")


def test_zeros_without_end(tmp_path):
    """100 MB that unpack to a hundred times the size that the header states: reading stops at once."""
    packed = zlib.compressobj(wbits=31)
    parts = [packed.compress(header((10, 10, 10))), *(packed.compress(bytes(1 << 20)) for _ in range(100))]
    (tmp_path / "a.nii.gz").write_bytes(b"".join([*parts, packed.flush()]))
    refused(tmp_path / "a.nii.gz", "more voxels than its header states")


@pytest.mark.parametrize("name", ["nrrd, gzip", "mha, zlib"])
def test_the_checksum_of_compressed_voxels_is_compared(originals, tmp_path, name):
    """ITK reads other voxels from such a file without an error."""
    original = originals[name]
    content = bytearray(original.read_bytes())
    changed = 0
    for at in range(len(content) - 300, len(content) - 100, 10):
        content[at] ^= 4
        path = tmp_path / f"{at}{original.suffix}"
        path.write_bytes(bytes(content))
        content[at] ^= 4
        refused(path)
        changed += 1
    assert changed == 20


@pytest.mark.parametrize("name", ["nii", "nii.gz", "nrrd", "nrrd, gzip", "mha", "mha, zlib"])
def test_voxels_that_the_header_does_not_state(originals, tmp_path, name):
    """The size of the file shows that its header, or its end, is damaged. Padding by a few zeros is accepted."""
    original = originals[name]
    content = original.read_bytes()
    inner = gzip.decompress(content) if name == "nii.gz" else content
    for extra, is_accepted in ((bytes(16), True), (bytes(1000), False), (b"\1", False)):
        path = tmp_path / f"{len(extra)}{''.join(original.suffixes)}"
        if name in ("nrrd, gzip", "mha, zlib"):
            continue  # `test_the_checksum_of_compressed_voxels_is_compared`
        path.write_bytes(gzip.compress(inner + extra) if name == "nii.gz" else inner + extra)
        if is_accepted:
            assert np.array_equal(read_ct(path).data, hu())
        else:
            refused(path, "more voxels than its header states")


@pytest.mark.parametrize(
    ("name", "stated", "other"),
    [("nrrd", b"sizes: 14 12 8", b"sizes: 14 12 7"), ("mha", b"DimSize = 14 12 8", b"DimSize = 14 11 8")],
)
def test_a_text_header_that_states_fewer_voxels(originals, tmp_path, name, stated, other):
    content = originals[name].read_bytes()
    assert stated in content
    path = tmp_path / f"a.{name}"
    path.write_bytes(content.replace(stated, other))
    refused(path, "more voxels than its header states")


def nifti(path, sform, qform, codes=(1, 1)):
    image = nib.Nifti1Image(hu(), None)
    image.header.set_sform(sform, codes[0])
    image.header.set_qform(qform, codes[1])
    image.header.set_xyzt_units("mm")
    nib.Nifti1Image(hu(), None, image.header).to_filename(path)
    return path


def test_forms_with_opposite_sides_are_refused(tmp_path):
    mirrored = AFFINE @ np.diag([-1.0, 1, 1, 1])
    refused(nifti(tmp_path / "a.nii", mirrored, AFFINE), "RAS in its sform and LAS in its qform", "left and right")


def test_forms_that_differ_are_reported(tmp_path, caplog):
    moved = AFFINE.copy()
    moved[1, 3] += 0.6
    read_ct(nifti(tmp_path / "a.nii", moved, AFFINE))
    assert "sform and qform are up to 0.4 voxels apart" in caplog.text
    caplog.clear()
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.8  # a qform cannot state it
    for path in (
        nifti(tmp_path / "b.nii", AFFINE, AFFINE),
        nifti(tmp_path / "c.nii", sheared, sheared),
        nifti(tmp_path / "d.nii", moved, AFFINE, codes=(4, 1)),  # two worlds
        nifti(tmp_path / "e.nii", moved, AFFINE, codes=(1, 0)),
    ):
        assert read_ct(path).data.shape == SHAPE
    assert "voxels apart" not in caplog.text


def test_a_wrong_number_of_bits_is_refused(originals, tmp_path):
    content = bytearray(originals["nii"].read_bytes())
    content[72:74] = (32).to_bytes(2, "little")
    (tmp_path / "a.nii").write_bytes(bytes(content))
    refused(tmp_path / "a.nii", "states 32 bits per voxel")


@pytest.mark.parametrize("extra", [b"\xe1\x7f\x10\x00OB\x00\x00\xff\xff\xff\x7f", b"\x08\x00\x05\x00CS\x02\x00AB"])
def test_junk_after_the_pixels_of_a_slice(tmp_path, extra):
    """GDCM believes its length, and takes gigabytes."""
    for k, position in enumerate(stack_positions()):
        write(tmp_path / f"{k}.dcm", slice_file(position, stored=np.full((5, 4), 1000, np.int16)))
    with (tmp_path / "2.dcm").open("ab") as file:
        file.write(extra)
    refused(tmp_path, "2.dcm", "cannot decode the pixels")


def test_slices_that_claim_more_than_the_memory(tmp_path):
    for k, position in enumerate(stack_positions()):
        write(tmp_path / f"{k}.dcm", slice_file(position, Rows=60_000, Columns=60_000))
    refused(tmp_path, "60000x60000x6 voxels", "GB of memory")


def test_text_of_a_file_does_not_reach_the_terminal_as_it_is():
    assert printable("\x1b[31mX\n" + "y" * 5) == "?[31mX?yyyyy"
    assert printable(" " + "é" * 65) == "é" * 64 + "…"
