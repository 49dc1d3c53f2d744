"""Searches with processes that crash, hang, are killed or join later; a stand-in replaces the training."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import searches
import stand_in
from optuna.pruners import MedianPruner
from optuna.trial import TrialState

from segment.errors import UserError
from segment.search import resources, worker

COMPLETE, PRUNED, FAIL, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(worker, "TICK_S", 0.02)
    monkeypatch.setattr(worker, "LOOK_S", 0.1)
    monkeypatch.setattr(worker, "PATIENCE_S", 0.3)


def start(folder: Path, limit: int, *overrides: str, slots: int = 1, space: dict | None = None) -> subprocess.Popen:
    call = [sys.executable, searches.__file__, str(folder), str(limit), str(slots), "6", json.dumps(space), *overrides]
    return subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def states(search) -> list[TrialState]:
    return [trial.state for trial in search.trials()]


def test_value_of_a_trial_is_that_of_its_best_epoch(tmp_path):
    search = searches.search(tmp_path)
    assert searches.worker(search, searches.training(), 2).run() is False
    for trial in search.trials():
        assert trial.state == COMPLETE
        assert trial.value == pytest.approx(trial.params["lr"] + 0.003)  # not the last epoch's 0
        assert sorted(trial.intermediate_values) == [0, 1, 2, 3, 4]


def test_seeds_are_trained_one_after_another_and_averaged(tmp_path):
    search = searches.search(tmp_path)
    searches.worker(search, searches.training(seeds=3), 1).run()
    (trial,) = search.trials()
    assert trial.value == pytest.approx(trial.params["lr"] + 0.003 + (0 + 0.01 + 0.02) / 3)
    assert trial.user_attrs["seeds"].keys() == {"0", "1", "2"}
    assert trial.intermediate_values[0] == pytest.approx(trial.params["lr"])  # reported for the first seed
    assert [len(stand_in.calls(tmp_path / "trials" / "0" / f"seed{seed}")) for seed in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("crash", "RuntimeError: cannot read x"),
        ("memory", "killed by SIGKILL, perhaps because memory ran out"),
        ("silent", "no value of val/dice/mean in its metrics.csv; monitor= takes one of its columns"),
    ],
)
def test_search_continues_after_a_failed_trial(tmp_path, what, why):
    search = searches.search(tmp_path, {"lr": searches.LR, "what": [what, "learn"]})
    searches.worker(search, searches.training(), 6).run()
    for trial in search.trials():
        failed = trial.params["what"] == what
        assert trial.state == (FAIL if failed else COMPLETE)
        assert trial.user_attrs.get("why") == (why if failed else None)
    assert {FAIL, COMPLETE} == set(states(search))


@pytest.fixture
def late_with(monkeypatch):
    """Advances the clock of trials by a day when a file exists."""

    def wait_with(path: Path) -> None:
        monotonic = time.monotonic
        late = SimpleNamespace(monotonic=lambda: monotonic() + 86400 * path.exists())
        monkeypatch.setattr("segment.search.trial.time", late)

    return wait_with


def test_trial_that_hangs_is_killed_with_its_children(tmp_path, late_with):
    search = searches.search(tmp_path)
    late_with(tmp_path / "trials" / "0" / "child.txt")
    searches.worker(search, searches.training("what=hang", limit_s=3600, grace_s=0.5), 1).run()
    (hung,) = search.trials()
    assert (hung.state, hung.user_attrs["why"]) == (FAIL, "not done within 1 h")
    folder = tmp_path / "trials" / "0"
    pids = [int((folder / "child.txt").read_text()), stand_in.calls(folder)[0][0]]
    wait_for(lambda: not any(map(stand_in.lives, pids)))


def test_children_that_a_training_leaves_are_killed(tmp_path):
    search = searches.search(tmp_path)
    searches.worker(search, searches.training("what=litter"), 1).run()
    assert states(search) == [COMPLETE]
    child = int((tmp_path / "trials" / "0" / "child.txt").read_text())
    wait_for(lambda: not stand_in.lives(child))


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel kills it")
def test_trainings_of_a_killed_search_are_killed(tmp_path):
    process = start(tmp_path, 1, "pause=60")
    folder = tmp_path / "trials" / "0"
    wait_for(lambda: (folder / "config.yaml").exists())
    process.kill()
    process.communicate()
    wait_for(lambda: not stand_in.lives(stand_in.calls(folder)[0][0]))


@pytest.mark.parametrize(("seeds", "state"), [(1, COMPLETE), (2, FAIL)])
def test_training_that_finishes_after_its_limit_counts(tmp_path, late_with, seeds, state):
    search = searches.search(tmp_path)
    run = tmp_path / "trials" / "0" / ("" if seeds == 1 else "seed0")
    late_with(run / "metrics.csv")
    deaf = searches.training("what=deaf", f"until={run}/told.txt", seeds=seeds, limit_s=3600)
    searches.worker(search, deaf, 1).run()
    (late,) = search.trials()
    assert late.state == state
    assert late.user_attrs["seeds"] == {"0": pytest.approx(late.params["lr"] + 0.003)}  # no second training started


def test_trained_trial_without_a_record_is_recorded(tmp_path):
    search = searches.search(tmp_path)
    claim = search.claim(1, ())
    search.note(0, "seeds", {"0": 0.25, "1": 0.75})
    claim.release()
    searches.worker(search, searches.training(seeds=2), 1).run()
    assert [(trial.state, trial.value) for trial in search.trials()] == [(COMPLETE, 0.5)]
    assert list(tmp_path.rglob("calls.txt")) == []


def test_trials_are_pruned_by_intermediate_values(tmp_path):
    pruner = MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    good = searches.search(tmp_path, {"lr": {"low": 0.8, "high": 0.9}}, pruner)
    searches.worker(good, searches.training(), 1).run()
    search = searches.search(tmp_path, {"lr": {"low": 0.1, "high": 0.2}}, pruner)
    searches.worker(search, searches.training("pause=0.2", "epochs=600"), 3).run()
    assert states(search) == [COMPLETE, PRUNED, PRUNED]
    for pruned in search.trials()[1:]:
        assert pruned.user_attrs["why"] == "stopped by the pruner after epoch 1"
        assert sorted(pruned.intermediate_values) == [0, 1]
        assert (tmp_path / "trials" / str(pruned.number) / "stopped.txt").exists()  # by SIGTERM, not SIGKILL


def test_simultaneous_trials_stay_within_the_limit(tmp_path):
    search = searches.search(tmp_path)
    searches.worker(search, searches.training("pause=0.1"), 5, slots=3).run()
    assert states(search) == [COMPLETE] * 5
    starts = sorted(trial.datetime_start for trial in search.trials())
    assert starts[2] < min(trial.datetime_complete for trial in search.trials())  # three ran together


def test_no_trial_starts_when_the_hours_are_used_up(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "TICK_S", 0.1)
    search = searches.search(tmp_path)
    searches.worker(search, searches.training("pause=0.2"), None, hours=1.5 / 3600).run()
    count = len(search.trials())
    assert 1 <= count <= 2  # each takes a second and starts before the end
    assert states(search) == [COMPLETE] * count  # started trials are finished
    searches.worker(search, searches.training(), None, hours=1.5 / 3600).run()
    assert len(search.trials()) == count


def test_unfinished_trials_are_finished_when_the_hours_are_used_up(tmp_path):
    search = searches.search(tmp_path)
    search.claim(None, ()).release()  # started by a process that has ended
    searches.worker(search, searches.training(), None, hours=0).run()
    assert states(search) == [COMPLETE]


@pytest.mark.parametrize(
    ("what", "why"),
    [("mistake", "no such key: modle.lr; see conf"), ("silent", "no value of val/dice/mean in its metrics.csv")],
)
def test_same_user_error_in_every_training_ends_the_search(tmp_path, what, why):
    search = searches.search(tmp_path)
    with pytest.raises(UserError, match=f"every training fails: {why}"):
        searches.worker(search, searches.training(f"what={what}"), 20).run()
    assert states(search) == [FAIL] * 3


def test_user_errors_of_some_configurations_do_not_end_the_search(tmp_path):
    search = searches.search(tmp_path, {"lr": searches.LR, "what": ["mistake", "learn"]})
    searches.worker(search, searches.training(), 8).run()
    assert set(states(search)) == {COMPLETE, FAIL}
    assert len(search.trials()) == 8


def test_search_ends_when_every_configuration_was_tried(tmp_path):
    search = searches.search(tmp_path, {"lr": [0.1, 0.2, 0.3], "epochs": {"low": 1, "high": 2}})
    searches.worker(search, searches.training(), 50).run()
    assert sorted((t.params["lr"], t.params["epochs"]) for t in search.trials()) == [
        (lr, epochs) for lr in (0.1, 0.2, 0.3) for epochs in (1, 2)
    ]


def test_search_with_crashes_hangs_and_a_kill_has_all_its_trials(tmp_path):
    space = {"lr": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "what": ["learn", "crash"]}
    process = start(tmp_path, 12, "pause=0.15", "hang=0.6", slots=2, space=space)
    search = searches.search(tmp_path, space)

    def half_trained() -> bool:
        trials = search.trials()
        started = [trial for trial in trials if trial.state == RUNNING and trial.intermediate_values]
        return len(started) >= 1 and sum(trial.state.is_finished() for trial in trials) >= 2

    wait_for(half_trained)
    process.kill()
    process.communicate()
    running = [trial.number for trial in search.trials() if trial.state == RUNNING]
    calls = {number: stand_in.calls(tmp_path / "trials" / str(number)) for number in running}
    wait_for(lambda: not any(stand_in.lives(pid) for each in calls.values() for pid, _ in each))
    before = {trial.number: trial.params for trial in search.trials()}
    second = start(tmp_path, 12, "pause=0.15", "hang=0.6", slots=2, space=space)
    _, stderr = second.communicate(timeout=120)
    assert second.returncode == 0, stderr
    trials = search.trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert all(trial.state.is_finished() for trial in trials)
    assert len({tuple(trial.params.items()) for trial in trials}) == 12  # no configuration twice
    assert before.items() <= {trial.number: trial.params for trial in trials}.items()
    for trial in trials:
        assert trial.state == (COMPLETE if trial.params["what"] == "learn" and trial.params["lr"] != 0.6 else FAIL)
        # Each was trained once, or twice if the kill interrupted it.
        assert len(stand_in.calls(tmp_path / "trials" / str(trial.number))) == 1 + len(calls.get(trial.number, []))
    (hung,) = (trial for trial in trials if trial.params == {"lr": 0.6, "what": "learn"})
    assert hung.user_attrs["why"] == "not done within 0.00167 h"
    assert any(calls.values())


def test_workers_share_one_limit(tmp_path):
    # The first trials end when trial 2 exists, which only the other worker can have started.
    until = f"until={tmp_path}/trials/2/calls.txt"
    workers = [start(tmp_path, 8, until, slots=2) for _ in range(2)]
    for process in workers:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
        assert "starts" in stderr
    search = searches.search(tmp_path)
    assert states(search) == [COMPLETE] * 8
    assert all(len(stand_in.calls(tmp_path / "trials" / str(number))) == 1 for number in range(8))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_trials_and_a_resumed_search_continues_them(tmp_path, number):
    process = start(tmp_path, 2, "until=never")
    first = tmp_path / "trials" / "0"
    wait_for(lambda: (first / "metrics.csv").exists())
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert "stopping 1 trials; they continue when the command is resumed; interrupt again to kill them" in err
    assert process.returncode == 143
    assert (first / "stopped.txt").exists()
    search = searches.search(tmp_path)
    assert states(search) == [RUNNING]
    searches.worker(search, searches.training(), 2).run()
    assert states(search) == [COMPLETE] * 2
    assert [resume for _, resume in stand_in.calls(first)] == ["false", "true"]
    assert sorted(search.trials()[0].intermediate_values) == [0, 1, 2, 3, 4]


def test_a_second_signal_kills(tmp_path):
    process = start(tmp_path, 1, "what=hang")
    folder = tmp_path / "trials" / "0"
    wait_for(lambda: (folder / "child.txt").exists())
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143
    wait_for(lambda: not stand_in.lives(stand_in.calls(folder)[0][0]))


def test_trial_that_an_orphan_still_trains_is_not_claimed(tmp_path, monkeypatch):
    search = searches.search(tmp_path)
    claim = search.claim(1, ())
    # An orphan that the kernel did not kill: no other process holds the lock.
    done = tmp_path / "done"
    call = searches.training("what=learn", f"until={done}").call(claim, 0)
    orphan = subprocess.Popen(call, pass_fds=[claim.lock])
    claim.release()
    searches.worker(search, searches.training(), 1).run()
    assert states(search) == [RUNNING]
    monkeypatch.setattr(worker, "PATIENCE_S", 60)
    threading.Timer(0.3, done.touch).start()
    searches.worker(search, searches.training(), 1).run()  # it waits, and claims the trial when it is free
    assert orphan.wait(60) == 0
    assert states(search) == [COMPLETE]
    assert [resume for _, resume in stand_in.calls(tmp_path / "trials" / "0")] == ["false", "true"]


def test_worker_that_fails_kills_its_trainings(tmp_path):
    search = searches.search(tmp_path, {"lr": searches.LR, "epochs": {"low": 1, "high": 30}})
    until = f"until={tmp_path}/trials/2/calls.txt"
    failing = searches.worker(search, searches.training("pause=0.1", until), 3, slots=3)

    def fail(trial):
        msg = "disk full"
        raise OSError(msg)

    failing.on_trial_end = fail
    with pytest.raises(OSError, match="disk full"):
        failing.run()
    pids = [pid for n in range(len(search.trials())) for pid, _ in stand_in.calls(tmp_path / "trials" / str(n))]
    assert len(pids) == 3
    assert not any(map(stand_in.lives, pids))
    assert os.getpid() not in pids
