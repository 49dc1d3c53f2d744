import csv
import os

import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from segment.search.importance import importance
from segment.search.trials_table import best_trial, print_table, rows, write_best, write_table

SPACE = {"lr": FloatDistribution(0, 1), "net": CategoricalDistribution(["a", "b"])}


def trial(number, state, lr, value=None, why=None, net="a"):
    trial = create_trial(
        state=state,
        params={"lr": lr, "net": net},
        distributions=SPACE,
        value=value,
        user_attrs={"seeds": {"0": 1}} | ({"why": why} if why else {}),
        intermediate_values={0: 0.5, 1: 0.6},
    )
    trial.number = number
    return trial


TRIALS = [
    trial(0, TrialState.COMPLETE, 0.1, 0.6),
    trial(1, TrialState.FAIL, 0.2, why="no, really"),
    trial(2, TrialState.COMPLETE, 0.3, 0.8),
    trial(3, TrialState.PRUNED, 0.4, 0.9, why="stopped by the pruner after epoch 1"),
    trial(4, TrialState.COMPLETE, 0.5, 0.8),
    trial(5, TrialState.RUNNING, 0.6),
]


def test_best_trial_is_the_first_finished_one_with_the_best_value():
    assert best_trial(TRIALS, "maximize").number == 2
    assert best_trial(TRIALS, "minimize").number == 0
    assert best_trial(TRIALS[1:2], "minimize") is None


def test_every_trial_has_a_row(tmp_path):
    write_table(tmp_path / "trials.csv", TRIALS)
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["trial", "state", "value", "lr", "net", "why", "epochs", "seeds", "start_time", "end_time"]
    assert [row["state"] for row in rows] == ["complete", "fail", "complete", "pruned", "complete", "running"]
    assert [row["value"] for row in rows] == ["0.6", "", "0.8", "0.9", "0.8", ""]
    assert (rows[1]["why"], rows[1]["lr"], rows[1]["epochs"], rows[1]["seeds"]) == ("no, really", "0.2", "2", "1")
    assert rows[0]["end_time"]
    assert not rows[5]["end_time"]


def test_table_without_trials_is_empty(tmp_path):
    write_table(tmp_path / "trials.csv", [])
    assert (tmp_path / "trials.csv").read_text() == "\n"


def test_best_trial_is_written_as_overrides_without_absolute_paths(tmp_path):
    path = tmp_path / "best.yaml"
    write_best(path, TRIALS[2], ["experiment=quick"])
    assert yaml.safe_load(path.read_text()) == {
        "trial": 2,
        "value": 0.8,
        "overrides": ["experiment=quick", "lr=0.3", "net=a"],
    }
    assert "#" not in path.read_text()
    write_best(path, TRIALS[2], ["data.sources.x.root=/home/me/cts"])
    assert yaml.safe_load(path.read_text())["overrides"][0] == "data.sources.x.root=cts"
    assert path.read_text().startswith("# Absolute paths are shortened to their last part")


def test_printed_table_starts_with_the_best(capsys, monkeypatch):
    monkeypatch.setitem(os.environ, "COLUMNS", "120")
    print_table(TRIALS, "val/dice", "maximize")
    out = capsys.readouterr().out
    assert "6 trials, 3 finished" in out
    order = [line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│")]
    assert order == ["2", "4", "0", "1", "3", "5"]
    assert "no, really" in out


def grid(value):
    return [
        trial(0, TrialState.COMPLETE, lr / 10, value(lr / 10, net), net=net) for lr in range(10) for net in ("a", "b")
    ]


def test_parameter_that_changes_the_value_is_important():
    by_lr = importance(grid(lambda lr, net: lr), "maximize")
    assert list(by_lr) == ["lr", "net"]
    assert by_lr["lr"] > 0.9
    by_net = importance(grid(lambda lr, net: (net == "b") + 30 * lr % 10 / 1000), "maximize")
    assert next(iter(by_net)) == "net"
    assert sum(by_net.values()) == 1


def test_importance_is_empty_for_few_or_equal_trials():
    assert importance(TRIALS, "maximize") == {}
    assert importance(grid(lambda lr, net: 0.5), "maximize") == {}
    assert importance([], "maximize") == {}


def test_tables_hold_no_absolute_paths():
    choices = CategoricalDistribution(["starter", "/home/jane/runs/best.ckpt"])
    one = create_trial(params={"init_from": choices.choices[1]}, distributions={"init_from": choices}, value=0.5)
    assert rows([one])[0]["init_from"] == "best.ckpt"
