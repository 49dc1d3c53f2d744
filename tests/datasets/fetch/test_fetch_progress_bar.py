import io

import pytest

from segment.datasets.fetch.progress_bar import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("total", [100, None])
def test_the_progress_bar_on_a_terminal_names_the_file(monkeypatch, total):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with progress("a[b].zip", 50, total) as advance:
        advance(50)
    assert "a[b].zip" in terminal.getvalue()
    assert "100" in terminal.getvalue()
