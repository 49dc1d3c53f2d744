import json

from segment.loggers.wandb_facts import facts_at_end, facts_at_start

GIT = {"sha": "5363fa5" + 33 * "0", "diff": "", "untracked": {}}


def write(folder, *processes):
    first, *resumed = processes
    (folder / "environment.json").write_text(json.dumps({**first, "resumed": resumed}))
    (folder / "split.json").write_text('{"train": ["a", "b"], "val": ["c"], "test": []}')


def test_facts_at_start_come_from_the_first_and_the_last_process(tmp_path):
    first = {"git": GIT, "overrides": ["seed=1"], "cpu": "old", "cpu_cores": 2, "gpus": [], "parameters": 7}
    last = {"git": {**GIT, "sha": "a" * 40}, "overrides": ["resume=true"], "cpu": "new", "gpus": ["H200", "H200"]}
    write(tmp_path, first, {**last, "parameters": 7, "memory_gib": 24.0})
    assert facts_at_start(tmp_path) == {
        "run.commit": "5363fa5 then aaaaaaa",
        "run.overrides": ["seed=1"],
        "run.cpu": "new",
        "run.cores": None,
        "run.memory_gib": 24.0,
        "run.gpu": "H200, H200",
        "run.parameters": 7,
        "run.cases.train": 2,
        "run.cases.val": 1,
        "run.cases.test": 0,
    }
    assert facts_at_start(tmp_path / "nothing") == {}


def test_facts_at_end_sum_hours_and_take_the_highest_peak(tmp_path):
    used = {"hours": 1.5, "core_hours": 3.0, "peak_memory_gib": 2.0, "epoch_s": 10.0}
    write(tmp_path, used, {}, {"hours": 0.5, "core_hours": 1.0, "peak_memory_gib": 1.0})  # the second was killed
    assert facts_at_end(tmp_path) == {
        "run/hours": 2.0,
        "run/core_hours": 4.0,
        "run/peak_memory_gib": 2.0,
        "run/epoch_s": 10.0,
    }
