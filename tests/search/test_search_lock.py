import errno
import json
import os
import subprocess
import sys

import optuna
import pytest

from segment import lock as file_lock
from segment.errors import UserError
from segment.search import lock
from segment.search.lock import held, hold, open_journal


def test_one_holder_at_a_time_and_the_lock_is_free_when_closed(tmp_path):
    path = tmp_path / ".lock"
    number = hold(path)
    assert number is not None
    assert hold(path) is None
    os.close(number)
    with held(path):
        assert hold(path) is None
    again = hold(path)
    assert again is not None
    os.close(again)


def test_a_child_that_inherits_the_lock_holds_it_until_the_child_ends(tmp_path):
    number = hold(tmp_path / ".lock")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[number])
    os.close(number)
    assert hold(tmp_path / ".lock") is None
    child.communicate(b"\n")
    again = hold(tmp_path / ".lock")
    assert again is not None
    os.close(again)


def test_a_journal_with_an_incomplete_last_line_can_be_continued(tmp_path):
    path = tmp_path / "journal.log"
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    study.add_trial(optuna.trial.create_trial(value=0.5))
    study.add_trial(optuna.trial.create_trial(value=0.7))
    os.truncate(path, path.stat().st_size - 20)  # as by a power cut
    study = optuna.load_study(storage=open_journal(path), study_name="s")
    assert [trial.value for trial in study.trials] == [0.5]
    study.add_trial(optuna.trial.create_trial(value=0.9))
    study = optuna.load_study(storage=open_journal(path), study_name="s")
    assert [trial.value for trial in study.trials] == [0.5, 0.9]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_killed_writer_blocks_no_other(tmp_path):
    path = tmp_path / "journal.log"
    code = (
        "import os, sys; from pathlib import Path; from segment.search.lock import JournalLock\n"
        "Path(sys.argv[1]).touch(); JournalLock(Path(sys.argv[1])).acquire(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, path], check=False, timeout=60).returncode == -9
    optuna.create_study(storage=open_journal(path), study_name="s")


def test_a_system_without_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HAS_LOCKS", False)
    with pytest.raises(UserError, match="need file locks, which Windows lacks"):
        hold(tmp_path / ".lock")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file_lock.fcntl, "flock", flock)
    with pytest.raises(UserError, match=rf"its file system has no locks \({os.strerror(number)}\); put it on"):
        hold(tmp_path / ".lock")
