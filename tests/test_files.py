import os
from pathlib import Path

import pytest

from segment.files import atomic_write, write_text


def _write_half(path, error):
    with atomic_write(path) as aside:
        aside.write_text("half")
        raise error


def _write_folder(path):
    with atomic_write(path) as aside:
        (aside / "inner").mkdir(parents=True)
        (aside / "inner" / "a").write_text("new")
        assert not (path / "inner").exists()


def test_the_file_appears_when_the_block_ends_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "mask.nii.gz"
    with atomic_write(path) as aside:
        aside.write_bytes(b"content")
        assert not path.exists()
        assert aside.parent == path.parent
        assert aside.name.startswith(".")
        assert aside.name.endswith(".mask.nii.gz")
    assert path.read_bytes() == b"content"
    assert [p.name for p in path.parent.iterdir()] == ["mask.nii.gz"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path, error):
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


def test_a_folder_appears_whole(tmp_path):
    _write_folder(tmp_path / "volume")
    found = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))]
    assert found == ["volume", "volume/inner", "volume/inner/a"]


def test_a_folder_that_exists_stays_and_the_new_one_goes(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "a").write_text("old")
    with pytest.raises(OSError, match="volume"):
        _write_folder(tmp_path / "volume")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["volume", "volume/a"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_all_content_is_on_the_disk_before_the_rename_and_the_name_after_it(tmp_path, monkeypatch, kind):
    flushed, replace = [], Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.fstat(number).st_ino))

    def check_and_replace(aside, target):
        everything = {path.stat().st_ino for path in (aside, *aside.rglob("*"))}
        assert everything == set(flushed)
        return replace(aside, target)

    monkeypatch.setattr(Path, "replace", check_and_replace)
    with atomic_write(tmp_path / "x") as aside:
        if kind == "file":
            aside.write_text("1")
        else:
            aside.mkdir()
            (aside / "a").write_text("1")
            (aside / "b").write_text("2")
    assert flushed[-1] == tmp_path.stat().st_ino


def test_text_is_utf8_with_its_line_ends_as_they_are(tmp_path):
    write_text(tmp_path / "a.csv", "Müller\nx\r\n")
    assert (tmp_path / "a.csv").read_bytes() == b"M\xc3\xbcller\nx\r\n"
