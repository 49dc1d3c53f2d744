"""`segment train` as users run it: one process per call, the real configuration, tiny synthetic CTs."""

import csv
import json
import math
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import run_commands
import tiny
import torch
from run_commands import environment, wait_until

from segment.commands.train import _record
from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.run.finetune import seen_hashes
from segment.run.folder import Run

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
# One pytest worker runs this file, because its tests share a finished run.
pytestmark = pytest.mark.xdist_group("train")

TINY = ["experiment=smoke", "callbacks.cases.overlay=false", "data.patches_per_epoch=2", "data.batch_size=1"]
TINY += ["preflight=false", "page=false", "callbacks.validation.overlay=false"]


@pytest.fixture(scope="module")
def cache(smoke_cache) -> Path:
    return smoke_cache


def train(folder: Path, cache: Path, *overrides: str, cold: bool = False) -> subprocess.CompletedProcess[str]:
    env = environment(SEGMENT_CACHE=cache)
    return run_commands.run("train", *TINY, f"output_dir={folder}", *overrides, env=env, cold=cold)


def only_run(folder: Path) -> Path:
    (config,) = (path for path in folder.rglob("config.yaml") if "wandb" not in path.parts)  # W&B keeps a copy
    return config.parent


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    for index, values in checkpoint["optimizer_states"][0]["state"].items():
        state |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    return state


def assert_same(one: Path, other: Path) -> None:
    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert scalars(one) == scalars(other)


def scalars(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cache) -> Path:
    """An uninterrupted run of three epochs, by an interpreter of its own."""
    folder = tmp_path_factory.mktemp("finished")
    done = train(folder, cache, "trainer.max_epochs=3", "preflight=true", cold=True)
    assert done.returncode == 0, done.stderr
    assert "test cases, means over patients" in done.stdout
    return only_run(folder)


def test_a_run_writes_all_documented_files(finished):
    names = {path.name for path in finished.iterdir()}
    assert names >= {"config.yaml", "environment.json", "split.json", "metrics.csv", "cases.csv", "train.log", "wandb"}
    assert {path.name for path in (finished / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    split = json.loads((finished / "split.json").read_text())
    assert [len(split[part]) for part in ("train", "val", "test")] == [5, 1, 2]
    cases = read_cases(finished / "cases.csv")
    assert {case for case, _ in cases} == set(split["test"])
    assert [score.organ for _, score in cases[:4]] == ORGANS


def test_scalars_have_the_documented_names(finished):
    rows = scalars(finished)
    columns = set(rows[0])
    dice = {f"{part}/dice/{organ}" for part in ("val", "test") for organ in [*ORGANS, "mean"]}
    others = {"train/loss", "val/loss", "val/accuracy", "val/accuracy/liver", "test/hd95_mm/liver", "test/nsd/mean"}
    assert columns >= dice | others
    assert sum(bool(row["train/loss"]) for row in rows) == 3


@pytest.mark.parametrize(("logger", "left"), [("tensorboard", "tensorboard"), ("none", None)])
def test_a_logger_writes_its_own_files_only(tmp_path, cache, finished, logger, left):
    done = train(tmp_path, cache, f"logger={logger}", "trainer.max_epochs=1", "test=false")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in only_run(tmp_path).iterdir()}
    assert names & {"metrics.csv", "wandb", "tensorboard"} == ({left} if left else set())


def test_training_stops_early_and_logs_the_learning_rate(tmp_path, cache, finished):
    stop = ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1", "trainer.max_epochs=5"]
    done = train(tmp_path, cache, *stop, "test=false", "logger=csv")
    assert done.returncode == 0, done.stderr
    rows = scalars(only_run(tmp_path))
    assert max(int(row["epoch"]) for row in rows if row["epoch"]) == 1  # the second epoch is not better than the first
    assert all(float(row["train/lr"]) > 0 for row in rows if row.get("val/dice/mean"))


def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(tmp_path, cache, finished):
    arguments = [*TINY, f"output_dir={tmp_path}", "trainer.max_epochs=3"]
    process = run_commands.start("train", *arguments, env=environment(SEGMENT_CACHE=cache))
    wait_until(lambda: list(tmp_path.rglob("last.ckpt")), process)
    process.kill()
    process.communicate()
    killed = only_run(tmp_path)
    assert not (killed / "cases.csv").exists()
    done = train(
        tmp_path, cache, "trainer.max_epochs=3", "resume=true", "data.num_workers=1", "allow_changed=[data.num_workers]"
    )
    assert done.returncode == 0, done.stderr
    assert only_run(tmp_path) == killed
    assert_same(killed, finished)


def test_a_run_is_repeated_from_its_record(tmp_path, cache, finished):
    done = train(tmp_path, cache, f"from_run={finished}")
    assert done.returncode == 0, done.stderr
    assert "the scores are equal: all numbers in 8 rows" in done.stdout
    assert_same(only_run(tmp_path), finished)
    other = train(tmp_path / "other", cache, f"from_run={finished}", "optimizer.lr=1e-3")
    assert "the scores differ: Dice differs in" in other.stdout


def test_jobs_of_a_sweep_write_separate_complete_folders(tmp_path, cache, finished):
    done = train(tmp_path, cache, "-m", "trainer.max_epochs=3,1", "hydra.sweep.dir=" + str(tmp_path / "sweep"))
    assert done.returncode == 0, done.stderr
    for job in ("0", "1"):
        run = tmp_path / "sweep" / job
        assert (run / "cases.csv").exists()
        assert (run / "checkpoints" / "best.ckpt").exists()
        assert len(list((run / "wandb").glob("offline-run-*"))) == 1
    # The first job repeats the finished run. State that it leaves in the process must not affect the second job.
    assert_same(tmp_path / "sweep" / "0", finished)
    assert sum(bool(row["train/loss"]) for row in scalars(tmp_path / "sweep" / "1")) == 1


@pytest.mark.slow
def test_two_processes_train_and_test_each_case_once(tmp_path, cache):
    two = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=1", "data.patches_per_epoch=4"]
    done = train(tmp_path, cache, *two, cold=True)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    cases = [(case, score.organ) for case, score in read_cases(run / "cases.csv")]
    assert len(cases) == len(set(cases)) == 8
    assert list(dict.fromkeys(case for case, _ in cases)) == json.loads((run / "split.json").read_text())["test"]
    assert len(list((run / "wandb").glob("offline-run-*"))) == 1
    (row,) = [row for row in scalars(run) if row["test/dice/mean"]]
    assert 0 <= float(row["test/dice/mean"]) <= 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.patch_size=[20,32,32]"],
            r"cannot take patches of [20, 32, 32] voxels; use data.patch_size=[24, 32, 32]",
        ),
        (["model.inferer.patch_size=[30,30,30]"], "use model.inferer.patch_size=[32, 32, 32]"),
        (["seed=abc"], "seed must be a whole number"),
        (["split.val=0.01"], "the split leaves no case to validate"),
        (["nonsense=1"], "nonsense"),
        (["trainer.precision=16-mixed"], "use trainer.precision=32-true"),
        (["resume=true", "seed=7"], "nothing to resume"),
    ],
)
def test_wrong_options_end_in_one_sentence_before_training(tmp_path, cache, overrides, message):
    done = train(tmp_path, cache, *overrides)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_folder_with_another_run_is_not_changed(cache, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()}
    done = train(finished.parents[1], cache, f"hydra.run.dir={finished}", "trainer.max_epochs=3")
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*") if path.is_file()} == before


def test_data_sets_with_different_organs_are_combined(tmp_path, cache, finished):
    source = tmp_path / "copy"
    (images,) = cache.glob("phantom/*-seed3-*-8cases*/images")
    for image in sorted(images.iterdir())[:4]:
        for kind in ("images", "labels"):
            target = source / kind / image.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((image.parents[1] / kind / image.name).read_bytes())
    mixed = ["data=[phantom_small,folder]", f"data.sources.folder.root={source}", "data.sources.phantom.seed=1"]
    mixed += ["split.val=0.25", "split.test=0.25"]
    codes = "data.sources.folder.label_codes={spleen: 3, other: [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]}"
    done = train(tmp_path, cache, *mixed, codes, "trainer.max_epochs=1", "split.val=0.25", "split.test=0.25")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    split = json.loads((run / "split.json").read_text())
    assert all({case.split("/")[0] for case in cases} == {"phantom", "folder"} for cases in split.values())
    for case, score in read_cases(run / "cases.csv"):
        is_known = case.startswith("phantom") or score.organ == "spleen"
        assert math.isnan(score.volume_ml_reference) != is_known


def test_a_cross_validation_tests_every_case_once_and_its_tables_are_merged(tmp_path, cache, finished):
    folds = ["split.test=0", "split.folds=3", "split.fold=range(3)", "trainer.max_epochs=1", "logger=none"]
    done = train(tmp_path, cache, "-m", *folds)
    assert done.returncode == 0, done.stderr
    (sweep,) = {config.parents[1] for config in tmp_path.rglob("config.yaml")}
    merged = run_commands.run("merge", f"runs={sweep}", cwd=tmp_path)
    assert merged.returncode == 0, merged.stderr
    rows = read_cases(sweep / "cases.csv")
    assert len({case for case, _ in rows}) == 8
    assert len(rows) == 8 * len(ORGANS)
    assert "8 cases of 3 runs" in merged.stdout


def data_of(train, test, shared=False):
    """A stand-in for a data module. The voxel hash of a case is its name."""
    cases = {name: SimpleNamespace(id=name) for name in [*train, *test]}
    return SimpleNamespace(
        split=SimpleNamespace(test=[cases[name] for name in test], shared=shared),
        volumes={name: SimpleNamespace(meta={"voxel_hash": name}) for name in cases},
        voxel_hashes=lambda: train,
    )


def test_hashes_of_seen_cases_are_kept_when_training_continues_on_other_data(tmp_path):
    ckpt = tiny.write_checkpoint(tmp_path / "last.ckpt", voxel_hashes=["a", "b"])
    assert seen_hashes(ckpt, "it", data_of(["b", "c"], ["d"])) == ["a", "b", "c"]
    with pytest.raises(UserError, match=r"it was trained or selected on a, which is a test case of this split"):
        seen_hashes(ckpt, "it", data_of(["b", "c"], ["d", "a"]))
    assert seen_hashes(ckpt, "it", data_of(["a"], ["a"], shared=True)) == ["a", "b"]


def test_changes_since_the_run_was_stopped_are_logged(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("segment.commands.train.record", lambda *_: None)
    monkeypatch.setattr("segment.commands.train.resume_differences", lambda folder: ["torch was 2.0, is 2.1"])
    data = SimpleNamespace(content=dict, split=SimpleNamespace(ids=dict))
    parts = SimpleNamespace(module=SimpleNamespace(net=torch.nn.Identity()), datamodule=data)
    _record(SimpleNamespace(preflight=False, from_run=None), parts, Run(tmp_path, None, resumed=True), {})
    assert "not as when the run was stopped: torch was 2.0, is 2.1" in caplog.text
