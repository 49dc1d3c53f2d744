import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from segment.search.pictures import write_history, write_importance

TRIALS = [
    (0, "complete", 0.5),
    (1, "fail", None),
    (2, "complete", 0.3),
    (3, "pruned", 0.2),
    (4, "complete", 0.7),
    (5, "running", None),
]


@pytest.fixture
def saved(monkeypatch):
    """The figures that are saved."""
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1])
    return figures


def lines(figure) -> dict[str, tuple[list, list]]:
    (axes,) = figure.axes
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines}


def test_history_shows_every_trial_that_ended(tmp_path, saved):
    write_history(tmp_path / "history.png", TRIALS, "val/dice/mean", "maximize")
    plotted = lines(saved[0])
    assert plotted["finished"] == ([0, 2, 4], [0.5, 0.3, 0.7])
    assert plotted["best so far"] == ([0, 2, 4], [0.5, 0.5, 0.7])
    assert plotted["pruned, last value"] == ([3], [0.2])
    assert plotted["failed"][0] == [1]
    assert saved[0].axes[0].get_ylabel() == "val/dice/mean"
    assert np.ptp(imread(tmp_path / "history.png")) > 0.5  # the picture is not empty


def test_best_so_far_can_be_the_smallest(tmp_path, saved):
    write_history(tmp_path / "history.png", TRIALS, "val/loss", "minimize")
    assert lines(saved[0])["best so far"][1] == [0.5, 0.3, 0.3]


def test_history_without_values_is_written(tmp_path):
    write_history(tmp_path / "history.png", [], "val/loss", "minimize")
    write_history(tmp_path / "history.png", [(0, "fail", None)], "val/loss", "minimize")
    assert (tmp_path / "history.png").stat().st_size > 1000


def test_most_important_parameter_is_on_top(tmp_path, saved):
    write_importance(tmp_path / "importance.png", {"lr": 0.75, "net": 0.25}, "val/dice/mean")
    (axes,) = saved[0].axes
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.75]  # from the bottom
    assert [label.get_text() for label in axes.get_yticklabels()] == ["net", "lr"]
    assert "0.75" in [text.get_text() for text in axes.texts]
