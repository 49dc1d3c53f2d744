import os
from pathlib import Path

import pytest

from segment.files import atomic_write, write_text


def _write_half(path, error):
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error


def _write_folder(path):
    with atomic_write(path) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "a").write_text("new")
        assert not (path / "inner").exists()


def test_the_file_appears_when_the_block_ends_and_no_temporary_file_is_left(tmp_path):
    path = tmp_path / "new" / "mask.nii.gz"
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"content")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".mask.nii.gz")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_block_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(error):
        _write_half(path, error)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_block_that_writes_nothing_fails(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_with_all_its_files(tmp_path):
    _write_folder(tmp_path / "volume")
    found = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))]
    assert found == ["volume", "volume/inner", "volume/inner/a"]


def test_an_existing_folder_is_kept_and_the_new_one_is_removed(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "a").write_text("old")
    with pytest.raises(OSError, match="volume"):
        _write_folder(tmp_path / "volume")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["volume", "volume/a"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_content_is_flushed_before_the_rename_and_the_folder_after_it(tmp_path, monkeypatch, kind):
    flushed, replace = [], Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))

    def check_and_replace(temporary, target):
        everything = {path.stat().st_ino for path in (temporary, *temporary.rglob("*"))}
        assert everything == set(flushed)
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", check_and_replace)
    with atomic_write(tmp_path / "x") as temporary:
        if kind == "file":
            temporary.write_text("1")
        else:
            temporary.mkdir()
            (temporary / "a").write_text("1")
            (temporary / "b").write_text("2")
    assert flushed[-1] == tmp_path.stat().st_ino


def test_text_is_utf8_and_keeps_its_line_ends(tmp_path):
    write_text(tmp_path / "a.csv", "Müller\nx\r\n")
    assert (tmp_path / "a.csv").read_bytes() == b"M\xc3\xbcller\nx\r\n"
