"""What real runs of `segment train` log to Weights & Biases, read back from the offline files."""

import csv
import inspect
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from wandb_file import WandbFile, offline_runs

from segment.commands.command import config_dir
from segment.loggers.wandb_run import WandbRun

pytestmark = pytest.mark.xdist_group("wandb")

TINY = ["experiment=smoke", "data.batch_size=1", "preflight=false"]
OWN = ("_runtime", "_timestamp")  # W&B's own columns
TAGS = "logger.wandb.tags=[first, 'two words']"
ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Synthetic CTs and volumes that the runs of this file share."""
    return tmp_path_factory.mktemp("cache")


def start(cache: Path, *overrides: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA"))}
    environment |= {"SEGMENT_CACHE": str(cache), "OMP_NUM_THREADS": "1", "HOME": str(cache)}
    call = [sys.executable, "-m", "segment.commands.train", *TINY, *overrides]
    return subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def train(cache: Path, *overrides: str) -> None:
    process = start(cache, *overrides)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


def curves(run: WandbFile) -> list[dict[str, float | str]]:
    """Scalars of every row, with the step."""
    return [
        {name: comparable(value) for name, value in row.items() if name not in OWN and not isinstance(value, dict)}
        for row in run.history
    ]


def comparable(value: float | str) -> float | str:
    """A number; NaN, which equals nothing, as a word."""
    return "nan" if math.isnan(float(value)) else float(value)


def table(folder: Path) -> list[dict[str, float | str]]:
    """Rows of metrics.csv, the step under its name in W&B."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: comparable(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [{"_step": row.pop("step"), **row} for row in rows]


def parameters(folder: Path) -> int:
    """Counted in the checkpoint; the network has no buffers."""
    weights = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return sum(value.numel() for name, value in weights.items() if name.startswith("net."))


def assert_complete(run: WandbFile, folder: Path, seed: int) -> None:
    """The run holds all that the folder does."""
    assert curves(run) == table(folder)
    assert (run.config["seed"], run.config["trainer.max_epochs"], run.config["organs"]) == (seed, 2, ORGANS)
    assert run.config["data.patch_size"] == [32, 32, 32]
    assert not {"data.seed", "callbacks.reseed.seed", "run_dir", "logger.wandb.project"} & run.config.keys()
    assert (run.config["preflight"], run.config["run.cases.test"]) == (False, 2)
    assert run.config["run.cores"] == os.cpu_count()
    assert run.config["run.parameters"] == parameters(folder)
    facts = json.loads((folder / "environment.json").read_text())
    last = facts.get("resumed", [facts])[-1]
    assert run.summary["run/epoch_s"] == last["epoch_s"] > 0
    assert 0.1 < run.summary["run/peak_memory_gib"] <= last["peak_memory_gib"]
    assert run.summary["run/hours"] > 0
    rows = run.table("cases")
    dice = [row["dice"] for row in rows if row["dice"] is not None]
    assert dice == sorted(dice)
    with (folder / "cases.csv").open(newline="") as file:
        scored = {(row["case"], row["organ"]): float(row["dice"]) for row in csv.DictReader(file)}
    assert {(row["case"], row["organ"]): row["dice"] for row in rows} == {
        key: None if math.isnan(value) else value for key, value in scored.items()
    }
    pairs = run.table("confusion")
    assert len(pairs) == (1 + len(ORGANS)) ** 2
    share = sum(pair["share"] for pair in pairs if pair["reference"] == "liver")
    assert share == pytest.approx(1)
    files = run.path.parent / "files"
    for key, name in (("validation/worst", "validation/worst.png"), ("validation/median", "validation/median.png")):
        assert (files / run.history[-1][key]["path"]).read_bytes() == (folder / name).read_bytes()
    for name in ("split.json", "cases.csv", "confusion.csv"):
        assert (files / name).read_bytes() == (folder / name).read_bytes()
    scores = {row["val/dice/mean"]: row["epoch"] for row in reversed(table(folder)) if "val/dice/mean" in row}
    assert run.summary["best/val/dice/mean"] == max(scores)
    assert run.summary["best/epoch"] == scores[max(scores)]
    assert run.summary["val/dice/mean"] == next(iter(scores))
    rows = table(folder)
    assert all({"train/loss_step", "train/lr"} <= row.keys() for row in rows[:-1])  # the last one is the test's
    assert len({row["train/lr"] for row in rows[:-1]}) == 2  # of two epochs
    assert run.summary["test/dice/mean"] == table(folder)[-1]["test/dice/mean"]


def test_the_commands_of_the_page_about_it_compose():
    page = (Path(__file__).parents[1] / "docs" / "wandb.md").read_text(encoding="utf-8")
    calls = [shlex.split(line)[2:] for line in page.splitlines() if line.startswith("segment train ")]
    assert len(calls) == 3
    for overrides in calls:
        values = [override for override in overrides if override != "-m" and "," not in override.split("seed=")[-1]]
        with initialize_config_dir(config_dir(), version_base="1.3"):
            node = compose("train", ["run_dir=.", *values]).logger.wandb
        assert set(node) == {"_target_", *inspect.signature(WandbRun).parameters} - {"offline"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, cache) -> Path:
    """A sweep of two jobs that nothing stopped."""
    folder = tmp_path_factory.mktemp("sweep")
    train(cache, "-m", "seed=0,1", f"hydra.sweep.dir={folder}", TAGS)
    return folder


@pytest.mark.slow
def test_a_sweep_of_two_jobs_is_two_runs_that_hold_what_their_folders_do(sweep, cache):
    one, other = offline_runs(sweep)
    assert one.run.run_id != other.run.run_id
    for seed, run in enumerate((one, other)):
        folder = sweep / str(seed)
        assert run.path.is_relative_to(folder)
        assert run.run.run_id == (folder / "wandb" / "run_id").read_text()
        about = run.run.project, run.run.run_group, run.run.job_type, list(run.run.tags), run.run.display_name
        name = f"batch_size=1 seed={seed}"
        assert about == ("segment", f"smoke/{sweep.name}", "train", ["first", "two words"], name)
        assert_complete(run, folder, seed)
        assert run.exit_code == 0
        for path in (folder / "wandb").rglob("*"):
            for secret in (str(sweep), str(cache), str(Path.cwd())):
                assert path.is_dir() or secret.encode() not in path.read_bytes(), path
    assert curves(one) != curves(other)


@pytest.mark.slow
def test_killed_and_resumed_is_one_run_equal_to_one_that_never_stopped(tmp_path, cache, sweep):
    stopped = tmp_path / "0"
    process = start(cache, f"hydra.run.dir={stopped}", TAGS)
    end = time.monotonic() + 300
    while not (stopped / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (killed,) = stopped.glob("wandb/offline-run-*")
    train(cache, f"hydra.run.dir={stopped}", "resume=true", TAGS)
    (run,), (reference,) = offline_runs(stopped), offline_runs(sweep / "0")
    assert run.path.parent.name[-8:] == killed.name[-8:] == run.run.run_id
    assert run.path.parent.name != killed.name
    assert_complete(run, stopped, seed=0)
    assert (run.run.display_name, run.run.run_group) == ("batch_size=1", "smoke")  # as when it began, without resume
    assert curves(run) == curves(reference)
    assert run.table("cases") == reference.table("cases")
    assert run.table("confusion") == reference.table("confusion")
    scalars, others = (
        {
            name: comparable(value)
            for name, value in it.summary.items()
            if not name.startswith(("_", "run/")) and not isinstance(value, dict)
        }
        for it in (run, reference)
    )
    assert scalars == others


@pytest.mark.slow
def test_a_run_whose_wandb_folder_cannot_be_used_trains_all_the_same(tmp_path, cache):
    (tmp_path / "wandb").write_text("a file in its way")
    process = start(cache, f"hydra.run.dir={tmp_path}", "trainer.max_epochs=1", "test=false")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0
    assert errors.count("Weights & Biases") == 1
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()
