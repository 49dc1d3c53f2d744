import errno

import pytest

from segment import lock
from segment.lock import NoLocksError, acquire, release


def test_a_released_lock_is_free_and_its_file_is_gone(tmp_path):
    path = tmp_path / "x.lock"
    descriptor = acquire(path)
    assert descriptor is not None
    assert acquire(path) is None
    release(descriptor, path)
    assert not path.exists()
    again = acquire(path)
    assert again is not None
    release(again, path)


def test_a_lock_file_that_another_holder_created_is_kept(tmp_path):
    path = tmp_path / "x.lock"
    first = acquire(path)
    path.unlink()
    second = acquire(path)
    release(first, path)
    assert path.exists()
    assert acquire(path) is None
    release(second, path)


def test_without_locks_in_the_file_system_no_file_is_left(tmp_path, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.raises(NoLocksError, match="No locks available"):
        acquire(tmp_path / "x.lock")
    assert not list(tmp_path.iterdir())


def test_without_locks_in_the_system_no_file_is_created(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HAS_LOCKS", False)
    with pytest.raises(NoLocksError, match="no file locks"):
        acquire(tmp_path / "x.lock")
    assert not list(tmp_path.iterdir())
