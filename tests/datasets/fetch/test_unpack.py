import gzip
import io
import multiprocessing
import os
import random
import resource
import signal
import struct
import tarfile
import time
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segment.datasets.fetch import unpack as module
from segment.datasets.fetch.unpack import is_unpacked, unpack
from segment.errors import UserError

CAP = 10**9
FILES = {
    "set/images/a.nii.gz": random.Random(0).randbytes(50_000),
    "set/labels/a.nii.gz": random.Random(1).randbytes(5_000),
    "set/dataset.json": b"{}",
    "set/empty": b"",
}
KINDS = ["x.zip", "x.tar", "x.tar.gz", "x.tgz"]


def pack(path, files):
    """An archive of files. A value that is not bytes is a function that changes the member of a tar."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                content(info)
                archive.addfile(info)
    return path


def tree(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != module.MARKER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def nothing_is_left(tmp_path, *but):
    return {path.name for path in tmp_path.iterdir()} == set(but)


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_unpacked_completely(tmp_path, kind):
    archive = pack(tmp_path / kind, FILES)
    assert unpack(archive, tmp_path / "deep" / "out", CAP) == tmp_path / "deep" / "out"
    assert tree(tmp_path / "deep" / "out") == FILES
    assert nothing_is_left(tmp_path, kind, "deep")
    assert nothing_is_left(tmp_path / "deep", "out")


def test_folder_entries_are_not_unpacked_as_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.mkdir("set")
        archive.writestr("set/a", b"a")
    assert tree(unpack(tmp_path / "x.zip", tmp_path / "zip", CAP)) == {"set/a": b"a"}

    def folder(info):
        info.type = tarfile.DIRTYPE

    archive = pack(tmp_path / "x.tar", {"set": folder, "set/a": b"a"})
    assert tree(unpack(archive, tmp_path / "tar", CAP)) == {"set/a": b"a"}


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_macos_adds_are_left_out(tmp_path, kind):
    junk = ["__MACOSX/set/._a", "set/.DS_Store", "set/._a.nii.gz", "._set"]
    archive = pack(tmp_path / kind, {**FILES, **dict.fromkeys(junk, b"junk")})
    assert tree(unpack(archive, tmp_path / "out", CAP)) == FILES


def test_unpacking_twice_does_nothing_even_without_the_archive(tmp_path):
    archive = pack(tmp_path / "x.zip", FILES)
    folder = unpack(archive, tmp_path / "out", CAP)
    (folder / "set/empty").unlink()
    archive.unlink()
    unpack(archive, folder, CAP)
    assert not (folder / "set/empty").exists()
    assert is_unpacked(folder, "x.zip")
    assert not is_unpacked(folder, "y.zip")


def test_a_folder_with_other_content_is_not_changed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UserError, match="move it away"):
        unpack(pack(tmp_path / "x.zip", FILES), tmp_path / "out", CAP)
    assert tree(tmp_path / "out") == {"mine": b"x"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../evil", "set/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "a/../evil"])
def test_a_path_that_may_lead_out_of_the_folder_is_refused(tmp_path, kind, name):
    archive = pack(tmp_path / kind, {"set/a": b"a", name: b"evil"})
    with pytest.raises(UserError, match="lead out of its folder"):
        unpack(archive, tmp_path / "in" / "out", CAP)
    assert nothing_is_left(tmp_path, kind, "in")
    assert nothing_is_left(tmp_path / "in")


def linked(target, kind=tarfile.SYMTYPE):
    def change(info):
        info.type = kind
        info.linkname = target

    return change


@pytest.mark.parametrize(
    "change",
    [linked("/etc"), linked("../.."), linked("a"), linked("../x", tarfile.LNKTYPE)]
    + [linked("", kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, change):
    archive = pack(tmp_path / "x.tar", {"a": b"a", "door": change, "door/evil": b"evil"})
    with pytest.raises(UserError, match=r"a link or device: 'door'"):
        unpack(archive, tmp_path / "out", CAP)
    assert nothing_is_left(tmp_path, "x.tar")


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("door")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match=r"holds a link or device: .*; nothing was kept: do not use this archive"):
        unpack(tmp_path / "x.zip", tmp_path / "out", CAP)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, kind):
    archive = pack(tmp_path / kind, {"bomb": bytes(30_000_000)})  # packs a thousandfold
    assert archive.stat().st_size * 200 < 30_000_000
    with pytest.raises(UserError, match="far more than the data set has"):
        unpack(archive, tmp_path / "out", CAP)
    assert nothing_is_left(tmp_path, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_is_unpacked_than_the_catalogue_allows(tmp_path, kind):
    archive = pack(tmp_path / kind, FILES)
    with pytest.raises(UserError, match="far more"):
        unpack(archive, tmp_path / "out", 55_000)
    unpack(archive, tmp_path / "out", 55_002)


def test_no_more_files_are_unpacked_than_a_data_set_has(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    with pytest.raises(UserError, match="far more"):
        unpack(pack(tmp_path / "x.zip", FILES), tmp_path / "out", CAP)


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path):
    archive = pack(tmp_path / "x.zip", {"a": bytes(100_000)})
    data = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + at, 10)  # uncompressed size
    archive.write_bytes(data)
    with pytest.raises(UserError, match="damaged or truncated"):
        unpack(archive, tmp_path / "out", CAP)


def test_an_encrypted_zip_is_left_to_the_user(tmp_path):
    archive = pack(tmp_path / "x.zip", {"a": b"a"})
    data = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    archive.write_bytes(data)
    with pytest.raises(UserError, match=r"is encrypted.*data\.sources\.<set>\.root=<folder>"):
        unpack(archive, tmp_path / "out", CAP)


def test_an_archive_with_a_duplicate_file_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(UserError, match="'a' twice; nothing was kept: do not use this"):
        unpack(tmp_path / "x.zip", tmp_path / "out", CAP)


@pytest.mark.parametrize("name", ["x.7z", "x.rar", "x.nii.gz"])
def test_other_formats_are_left_to_the_user(tmp_path, name):
    (tmp_path / name).write_bytes(b"7z")
    with pytest.raises(UserError, match=r"unpack it by hand .* data\.sources\.<set>\.root=<folder>"):
        unpack(tmp_path / name, tmp_path / "out", CAP)


@pytest.mark.parametrize("kind", KINDS)
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.004)  # far less than the members claim to hold
@settings(max_examples=20)
def test_a_truncated_archive_is_reported(tmp_path_factory, kind, share):
    folder = tmp_path_factory.mktemp("cut")
    archive = pack(folder / kind, FILES)
    whole = archive.read_bytes()
    end = len(whole.rstrip(b"\0")) if kind == "x.tar" else len(whole)  # a tar ends in padding
    archive.write_bytes(whole[: int(share * end)])
    with pytest.raises(UserError, match=r"damaged or truncated.*delete it and download it again"):
        unpack(archive, folder / "out", CAP)
    assert nothing_is_left(folder, kind)


def test_a_tar_truncated_between_two_members_is_reported(tmp_path):
    archive = pack(tmp_path / "x.tar", {"a": b"a" * 512, "b": b"b" * 512})
    archive.write_bytes(archive.read_bytes()[:1024])  # a's header and content
    with pytest.raises(UserError, match="the end is missing"):
        unpack(archive, tmp_path / "out", CAP)


@pytest.mark.parametrize("kind", ["x.zip", "x.tar.gz"])
def test_a_changed_byte_is_detected(tmp_path, kind):
    archive = pack(tmp_path / kind, FILES)
    data = bytearray(archive.read_bytes())
    data[20_000] ^= 1
    archive.write_bytes(data)
    with pytest.raises(UserError, match="damaged or truncated"):
        unpack(archive, tmp_path / "out", CAP)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_changed_bytes_are_detected_for_every_compression(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("a", FILES["set/images/a.nii.gz"])
        start = archive.getinfo("a").compress_size // 2
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[start : start + 2000] = bytes(2000)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"damaged or truncated.*delete it and download it again"):
        unpack(tmp_path / "x.zip", tmp_path / "out", CAP)
    assert nothing_is_left(tmp_path, "x.zip")


@pytest.mark.parametrize("content", [b"\0" * 60, b"\xff" * 60])
@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_data_that_is_not_compressed_data_is_detected(tmp_path, method, content):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("a", FILES["set/images/a.nii.gz"])
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[40:100] = content  # after the local header of 31 bytes and the properties of LZMA
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(UserError, match="damaged or truncated"):
        unpack(tmp_path / "x.zip", tmp_path / "out", CAP)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_name_that_is_too_long_is_reported(tmp_path, kind):
    archive = pack(tmp_path / kind, {"set/a": b"a", "set/" + "x" * 300: b"x"})
    with pytest.raises(UserError, match=r"damaged or truncated .*File name too long"):
        unpack(archive, tmp_path / "out", CAP)
    assert nothing_is_left(tmp_path, kind)


def test_a_wrong_checksum_at_the_end_of_a_gz_is_detected(tmp_path):
    archive = pack(tmp_path / "x.tar.gz", FILES)
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    with pytest.raises(gzip.BadGzipFile), gzip.open(archive) as file:
        file.read()
    with pytest.raises(UserError, match="damaged or truncated"):
        unpack(archive, tmp_path / "out", CAP)


def test_after_a_kill_at_any_moment_the_folder_is_complete_or_missing(tmp_path):
    files = {f"set/{i}": random.Random(i).randbytes(2_000) for i in range(300)}
    archive = pack(tmp_path / "x.zip", files)
    moments = random.Random(0)
    context = multiprocessing.get_context("fork")
    for _ in range(8):
        child = context.Process(target=unpack, args=(archive, tmp_path / "out", CAP))
        child.start()
        time.sleep(moments.uniform(0, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert not (tmp_path / "out").exists() or tree(tmp_path / "out") == files
    unpack(archive, tmp_path / "out", CAP)
    assert tree(tmp_path / "out") == files
    assert nothing_is_left(tmp_path, "x.zip", "out")


def on_a_small_disk(archive, folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    with pytest.raises(UserError, match="no room is left"):
        unpack(archive, folder, CAP)


def test_a_full_disk_is_reported_and_nothing_is_kept(tmp_path):
    archive = pack(tmp_path / "x.zip", FILES)
    child = multiprocessing.get_context("fork").Process(target=on_a_small_disk, args=(archive, tmp_path / "out"))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert nothing_is_left(tmp_path, "x.zip")
