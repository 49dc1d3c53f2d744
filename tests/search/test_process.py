import os
import signal
import sys

import pytest

from segment.search.process import Process


@pytest.fixture
def process(tmp_path):
    number = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    yield Process([sys.executable, "-c", "print(3)"], tmp_path / "output.log", os.environ, number, grace_s=0)
    os.close(number)


def test_group_of_an_ended_process_gets_no_signal(process, monkeypatch):
    # Its number may belong to another process by then.
    sent = []
    monkeypatch.setattr(os, "killpg", lambda group, number: sent.append((group, number)))
    assert process.wait() == 0
    assert sent == [(process.process.pid, signal.SIGKILL)]  # for the children that it left behind
    process.stop()
    process.kill()
    assert process.poll() == 0
    assert len(sent) == 1
    assert process.tail() == "3\n"
