import pytest
from scripted_server import running

from segment.datasets.fetch import download


@pytest.fixture(scope="module")
def server():
    with running() as found:
        yield found


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0)
