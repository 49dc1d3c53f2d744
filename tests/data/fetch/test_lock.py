import threading
import time

import pytest

from segment.data.fetch.lock import locked


def test_blocks_at_the_same_path_run_one_after_another(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path / "new" / "x"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert not list((tmp_path / "new").iterdir())


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "x"):
        raise KeyError
    with locked(tmp_path / "x"):
        pass
