import threading
import time

import pytest

from segment import lock as file_lock
from segment.datasets.fetch.download_lock import locked


def test_blocks_with_the_same_path_run_one_after_another(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with locked(tmp_path / "new" / "x"):
                inside.append(1)
                time.sleep(0.001)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 160
    assert not list((tmp_path / "new").iterdir())


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "x"):
        raise KeyError
    with locked(tmp_path / "x"):
        pass


def test_only_the_leftovers_of_a_killed_process_are_removed(tmp_path):
    (tmp_path / ".0123abcd.x").mkdir()
    (tmp_path / ".0123abcd.x" / "file").touch()
    (tmp_path / ".0123abcd.x.sha256").touch()
    others = [".0123abcd.xy", ".0123abcd.x.zip", ".012.x", "x.part"]
    for name in others:
        (tmp_path / name).touch()
    with locked(tmp_path / "x"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_on_windows_the_block_runs_without_a_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "HAS_LOCKS", False)
    with locked(tmp_path / "x"), locked(tmp_path / "x"):
        assert not list(tmp_path.iterdir())
