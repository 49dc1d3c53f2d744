import os

import pytest

from segment.data.store import content as module
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import content_hash
from segment.errors import UserError


@pytest.fixture
def record(tmp_path):
    return ContentRecord(tmp_path / "record")


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that were read, in order."""
    names = []
    monkeypatch.setattr(module, "content_hash", lambda path: names.append(path.name) or content_hash(path))
    return names


@pytest.fixture
def later(monkeypatch):
    """Set the clock to two minutes after everything was written."""
    now = module.time.time_ns() + 120 * 10**9
    monkeypatch.setattr(module.time, "time_ns", lambda: now)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.usefixtures("later")
def test_a_settled_file_is_read_once(record, reads, tmp_path):
    path = write(tmp_path / "a.nii", b"one")
    assert [record.hash(path), record.hash(path), ContentRecord(record.root).hash(path)] == [content_hash(path)] * 3
    assert reads == ["a.nii"]


@pytest.mark.usefixtures("later")
def test_a_changed_file_is_read_again_even_with_the_same_size_and_time(record, reads, tmp_path):
    path = write(tmp_path / "a.nii", b"one")
    record.hash(path)
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert record.hash(path) == content_hash(path)
    other = write(tmp_path / "b", b"six")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert record.hash(path) == content_hash(path)
    assert reads == ["a.nii"] * 3


@pytest.mark.parametrize("age_s", [1, 30, 70])
def test_nothing_is_recorded_of_a_file_that_changed_recently(record, tmp_path, monkeypatch, age_s):
    """The clock of the file system stands still, so the state of the file is the same after the change."""
    path = write(tmp_path / "a.nii", b"one")
    changed = path.stat().st_mtime_ns
    monkeypatch.setattr(module, "_file_state", lambda _: (changed, changed, 3, 1, 1))
    monkeypatch.setattr(module.time, "time_ns", lambda: changed + age_s * 10**9)
    first = record.hash(path)
    path.write_bytes(b"two")
    assert (record.hash(path) == first) == (age_s > module.SETTLED_S)


@pytest.mark.usefixtures("later")
def test_nothing_is_recorded_of_a_file_that_changes_while_it_is_read(record, tmp_path, monkeypatch):
    path = write(tmp_path / "a.nii", b"one")

    def change_after_reading(path):
        found = content_hash(path)
        path.write_bytes(b"two")
        return found

    monkeypatch.setattr(module, "content_hash", change_after_reading)
    record.hash(path)
    monkeypatch.undo()
    assert record.hash(path) == content_hash(path)


@pytest.mark.usefixtures("later")
def test_a_folder_is_read_again_when_a_file_is_added_removed_renamed_or_changed(record, reads, tmp_path):
    folder = tmp_path / "ct"
    for name in ("0", "1", "deep/2"):
        write(folder / name, name.encode())

    def read_at_most_once():
        """Hash the folder three times; return whether it was read once."""
        reads.clear()
        assert record.hash(folder) == record.hash(folder) == content_hash(folder)
        return reads == ["ct"]

    assert read_at_most_once()
    write(folder / "3", b"3")
    assert read_at_most_once()
    (folder / "1").unlink()
    assert read_at_most_once()
    write(folder / "deep" / "2", b"5")
    assert read_at_most_once()
    (folder / "0").rename(folder / "9")
    assert read_at_most_once()
    reads.clear()
    record.hash(folder)
    assert reads == []


@pytest.mark.usefixtures("later")
def test_one_file_with_two_suffixes_has_two_hashes(record, tmp_path):
    path = write(tmp_path / "a.nii", b"one")
    (tmp_path / "a.mha").symlink_to(path)
    assert [record.hash(path), record.hash(tmp_path / "a.mha")] == [
        content_hash(path),
        content_hash(tmp_path / "a.mha"),
    ]
    assert record.hash(path) != record.hash(tmp_path / "a.mha")


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_or_unwritable_record_is_ignored(record, tmp_path, damage):
    path = write(tmp_path / "a.nii", b"one")
    record.hash(path)
    (kept,) = record.root.iterdir()
    kept.write_bytes(damage)
    assert record.hash(path) == content_hash(path)
    write(tmp_path / "file", b"")
    assert ContentRecord(tmp_path / "file").hash(path) == content_hash(path)


def test_a_missing_file_is_named(record, tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*gone\.nii: No such file"):
        record.hash(tmp_path / "gone.nii")
