import os
import re

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.encaps import encapsulate, generate_frames

from segment.errors import UserError
from segment.io.decoding import decoding
from segment.io.read import read_ct
from tests.support.dicom_files import stack_positions, write_series


def volume(path, *, compressed):
    voxels = np.random.default_rng(0).integers(-1000, 1000, (8, 16, 16), dtype=np.int16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path), compressed)
    return path


def truncate(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def jpeg2000(folder, stored):
    """Compressed pixels as one frame, and their transfer syntax."""
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetFileName(str(folder / "compressed.dcm"))
    writer.Execute(SimpleITK.GetImageFromArray(stored))
    written = pydicom.dcmread(folder / "compressed.dcm")
    return next(generate_frames(written.PixelData, number_of_frames=1)), written.file_meta.TransferSyntaxUID


DAMAGED = "it is damaged, incomplete or not what its name says"


@pytest.mark.parametrize(
    ("name", "compressed", "keep", "cause"),
    [
        ("ct.mha", False, -100, "its header states 4096 bytes of voxels, and it holds 3996"),
        ("ct.mha", True, -100, "its compressed voxels end too early"),
        ("ct.mha", False, 150, rf"{DAMAGED} \(DimSize required and not defined\)"),
        ("ct.nrrd", False, -96, "its header states 4096 bytes of voxels, and it holds 4000"),
        ("ct.nrrd", True, -100, "its compressed voxels end too early"),
        ("ct.nii", False, -96, rf"{DAMAGED} \(Expected 4096 bytes, got 4000 bytes\)"),
        ("ct.nii.gz", True, -100, rf"{DAMAGED} \(Compressed file ended before the end-of-stream marker was reached\)"),
    ],
)
def test_an_error_states_the_cause_and_nothing_else_is_printed(tmp_path, capfd, name, compressed, keep, cause):
    path = volume(tmp_path / name, compressed=compressed)
    truncate(path, keep)
    message = rf"cannot read {re.escape(str(path))}: {cause}; copy or download it again"
    with pytest.raises(UserError, match=f"^{message}$"):
        read_ct(path)
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_jpeg_2000_decoder_is_in_the_message_alone(tmp_path, capfd):
    stored = np.random.default_rng(0).integers(0, 99, (64, 64), dtype=np.int16)
    frame, syntax = jpeg2000(tmp_path, stored)
    folder = write_series(tmp_path / "series", stack_positions(3), stored=stored)
    header = pydicom.dcmread(folder / "001.dcm")
    header.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(folder / "001.dcm")
    with pytest.raises(
        UserError, match=r"pixels of .*001.dcm \(Tile part length size inconsistent with stream length\)"
    ):
        read_ct(folder)
    assert capfd.readouterr() == ("", "")


def test_output_of_a_reader_that_succeeds_is_logged(tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    with decoding(tmp_path / "ct.mha"):
        os.write(2, b"a remark\n")
    assert capfd.readouterr().err == ""
    assert caplog.messages == [f"{tmp_path / 'ct.mha'}: a remark"]


def test_what_a_signal_handler_writes_is_shown(tmp_path, capfd):
    def end():
        os.write(2, b"ended by SIGTERM\n")
        raise SystemExit

    with pytest.raises(SystemExit), decoding(tmp_path / "ct.mha"):
        end()
    assert capfd.readouterr().err == "ended by SIGTERM\n"


def test_a_program_without_standard_error_can_read(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    read_ct(volume(tmp_path / "ct.mha", compressed=True))
