import pickle
from types import SimpleNamespace

from page_data import data_of
from sweep_folders import write_grid

from segment.commands import multirun
from segment.commands.multirun import Grid, Job, table


def test_a_table_shows_the_overrides_that_differ_between_jobs():
    jobs = [
        Job(0, ["task=a", "seed=0"], "0.9012", "out/0"),
        Job(1, ["task=a", "seed=10"], "failed: no CT\nat all", "out/1"),
    ]
    assert table(jobs).splitlines() == [
        "job  overrides  result                folder",
        "0    seed=0     0.9012                out/0",
        "1    seed=10    failed: no CT at all  out/1",
    ]


def test_without_jobs_there_is_only_the_header():
    assert table([]) == "job  overrides  result  folder"


def job(folder, number):
    """What Hydra knows about the current job."""
    return SimpleNamespace(
        runtime=SimpleNamespace(output_dir=str(folder / str(number))),
        job=SimpleNamespace(num=number),
        overrides=SimpleNamespace(task=[f"seed={number}"]),
    )


def test_a_job_in_another_process_writes_the_page_of_its_grid(tmp_path, monkeypatch):
    """A job on a cluster works with a copy of the object, and the command that submitted it may have ended."""
    folder = write_grid(tmp_path / "grid", [(["seed=0"], [0.5]), (["seed=1"], [0.75])])
    monkeypatch.setattr(multirun.HydraConfig, "get", lambda: job(folder, 1))
    grid = Grid()
    submitted = pickle.loads(pickle.dumps(grid))
    grid.end("0.7500", {"page": True})
    assert not (folder / "index.html").exists()  # this process writes it once, after all jobs
    monkeypatch.setattr(multirun, "_this_process", lambda: ("another machine", 1))
    submitted.end("0.7500", {"page": False})
    assert not (folder / "index.html").exists()
    submitted.end("0.7500", {"page": True})
    assert [trial["value"] for trial in data_of(folder / "index.html")["trials"]] == [0.5, 0.75]


def test_only_one_of_the_processes_of_a_job_writes_the_page(tmp_path, monkeypatch):
    folder = write_grid(tmp_path / "grid", [(["seed=0"], [0.5])])
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(multirun.HydraConfig, "get", lambda: job(folder, 0))
    grid = Grid()
    monkeypatch.setattr(multirun, "_this_process", lambda: ("another machine", 1))
    grid.end("0.5000", {"page": True})
    assert not (folder / "index.html").exists()
