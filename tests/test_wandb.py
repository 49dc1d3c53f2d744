"""What `segment train` logs to Weights & Biases, read back from the offline files of real runs."""

import csv
import inspect
import json
import math
import os
import shlex
from pathlib import Path

import pytest
import run_commands
import torch
from run_commands import config, environment, wait_until
from wandb_file import WandbFile, offline_runs

from segment.loggers.wandb_run import WandbRun

pytestmark = pytest.mark.xdist_group("wandb")

TINY = ["experiment=smoke", "page=false", "data.batch_size=1", "preflight=false"]
OWN = ("_runtime", "_timestamp")  # W&B's own columns
TAGS = "logger.wandb.tags=[first, 'two words']"
ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


@pytest.fixture(scope="module")
def cache(smoke_cache) -> Path:
    return smoke_cache


def start(cache: Path, *overrides: str, cold: bool = False) -> run_commands.Process:
    return run_commands.start("train", *TINY, *overrides, env=environment(SEGMENT_CACHE=cache, HOME=cache), cold=cold)


def train(cache: Path, *overrides: str, cold: bool = False) -> str:
    """Train to the end; returns stderr."""
    process = start(cache, *overrides, cold=cold)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return err


def curves(run: WandbFile) -> list[dict[str, float | str]]:
    """Scalars and step of every row."""
    return [
        {name: comparable(value) for name, value in row.items() if name not in OWN and not isinstance(value, dict)}
        for row in run.history
    ]


def comparable(value: float | str) -> float | str:
    """A number, or a word for NaN, which would not equal itself."""
    return "nan" if math.isnan(float(value)) else float(value)


def table(folder: Path) -> list[dict[str, float | str]]:
    """Rows of metrics.csv, with W&B's name for the step."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: comparable(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [{"_step": row.pop("step"), **row} for row in rows]


def parameters(folder: Path) -> int:
    """Number of parameters in the checkpoint. The network has no buffers."""
    weights = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    return sum(value.numel() for name, value in weights.items() if name.startswith("net."))


def assert_complete(run: WandbFile, folder: Path, seed: int) -> None:
    """Check that W&B has the same content as the run folder."""
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
    assert all({"train/loss_step", "train/lr"} <= row.keys() for row in rows[:-1])  # the last row is the test
    assert len({row["train/lr"] for row in rows[:-1]}) == 2  # one for each epoch
    assert run.summary["test/dice/mean"] == table(folder)[-1]["test/dice/mean"]


def test_the_commands_of_the_page_compose():
    page = (Path(__file__).parents[1] / "docs" / "wandb.md").read_text(encoding="utf-8")
    calls = [shlex.split(line)[2:] for line in page.splitlines() if line.startswith("segment train ")]
    assert len(calls) == 3
    for overrides in calls:
        values = [override for override in overrides if override != "-m" and "," not in override.split("seed=")[-1]]
        node = config("train", "run_dir=.", *values).logger.wandb
        assert set(node) == {"_target_", *inspect.signature(WandbRun).parameters} - {"offline"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, cache) -> Path:
    """An uninterrupted sweep of two jobs, by an interpreter of its own."""
    folder = tmp_path_factory.mktemp("sweep")
    train(cache, "-m", "seed=0,1", f"hydra.sweep.dir={folder}", TAGS, cold=True)
    return folder


@pytest.mark.slow
def test_two_jobs_of_a_sweep_are_two_runs_with_the_content_of_their_folders(sweep, cache):
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
def test_a_killed_and_resumed_run_is_one_run_and_equals_an_uninterrupted_one(tmp_path, cache, sweep):
    stopped = tmp_path / "0"
    process = start(cache, f"hydra.run.dir={stopped}", TAGS)
    wait_until((stopped / "checkpoints" / "last.ckpt").exists, process)
    process.kill()
    process.communicate()
    (killed,) = stopped.glob("wandb/offline-run-*")
    train(cache, f"hydra.run.dir={stopped}", "resume=true", TAGS)
    (run,), (reference,) = offline_runs(stopped), offline_runs(sweep / "0")
    assert run.path.parent.name[-8:] == killed.name[-8:] == run.run.run_id
    assert run.path.parent.name != killed.name
    assert_complete(run, stopped, seed=0)
    assert (run.run.display_name, run.run.run_group) == ("batch_size=1", "smoke")  # resume=true is not in the name
    assert curves(run) == curves(reference)
    assert run.table("cases") == reference.table("cases")
    assert run.table("confusion") == reference.table("confusion")
    assert summary_scalars(run) == summary_scalars(reference)


def summary_scalars(run: WandbFile) -> dict[str, float | str]:
    """Scalars of the summary, without W&B's own and those of the machine."""
    return {
        name: comparable(value)
        for name, value in run.summary.items()
        if not name.startswith(("_", "run/")) and not isinstance(value, dict)
    }


@pytest.mark.slow
def test_a_run_trains_even_if_its_wandb_folder_cannot_be_used(tmp_path, cache):
    (tmp_path / "wandb").write_text("a file in the place of the folder")
    err = train(
        cache, f"hydra.run.dir={tmp_path}", "trainer.max_epochs=1", "test=false", "callbacks.validation.overlay=false"
    )
    assert err.count("Weights & Biases") == 1
    assert (tmp_path / "checkpoints" / "best.ckpt").exists()
