import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from segment import lock as file_lock
from segment.errors import UserError
from segment.run import lock
from segment.run.lock import LOCK, alone_in

HOLD = """
import os, sys, time
from pathlib import Path
from segment.run.lock import alone_in

with alone_in(Path(sys.argv[1])):
    if os.fork():
        print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.3)


def test_one_process_writes_a_run_folder_and_no_lock_file_is_left(tmp_path, impatient):
    with alone_in(tmp_path):
        with pytest.raises(UserError, match="is being written by another process; wait for it, or choose another"):
            alone_in(tmp_path).__enter__()
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert not list(tmp_path.iterdir())
    with alone_in(tmp_path):
        pass


def test_a_waiting_process_gets_the_folder_when_the_other_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 20)
    ours = alone_in(tmp_path)
    ours.__enter__()
    threading.Timer(0.3, lambda: ours.__exit__(None, None, None)).start()
    with alone_in(tmp_path):
        monkeypatch.setattr(lock, "PATIENCE_S", 0.3)
        with pytest.raises(UserError, match="is being written"):  # by a lock on the new file
            alone_in(tmp_path).__enter__()


def test_a_lock_file_of_another_process_is_not_removed(tmp_path, impatient):
    first, second = alone_in(tmp_path), alone_in(tmp_path)
    first.__enter__()
    (tmp_path / LOCK).unlink()  # by hand, e.g. because a file server kept the lock of a dead machine
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(UserError, match="is being written"):
        alone_in(tmp_path).__enter__()
    second.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())


def test_a_killed_process_frees_the_folder_although_its_worker_lives_on(tmp_path, impatient):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="is being written"):
            alone_in(tmp_path).__enter__()
        holder.kill()
        holder.wait()
        with alone_in(tmp_path):
            pass
        os.killpg(holder.pid, 0)  # it does live on
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.stdout.close()


def test_without_locks_in_the_file_system_nothing_is_locked(tmp_path, monkeypatch):
    def refused(number, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock.fcntl, "flock", refused)
    with alone_in(tmp_path), alone_in(tmp_path):
        assert not list(tmp_path.iterdir())


def test_on_windows_nothing_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "HAS_LOCKS", False)
    with alone_in(tmp_path), alone_in(tmp_path):
        pass
