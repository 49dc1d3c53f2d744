import os
import time

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from segment.commands.command import config_dir
from segment.configuration.values import flatten, portable
from segment.errors import UserError
from segment.run import record as record_module
from segment.run.folder import Run
from segment.run.record import record
from segment.run.resume import find_run, last_checkpoint


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGMENT_CACHE", raising=False)


def config(*overrides):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", [*overrides])


@pytest.fixture
def make_run(tmp_path, monkeypatch):
    """Writes the records of a run, each one newer than the one before."""
    monkeypatch.setattr(record_module, "environment", lambda seed, overrides: {"seed": seed})
    started = int(time.time()) - 1000

    def make(name, *overrides):
        nonlocal started
        folder = tmp_path / "outputs" / "quick" / name
        folder.mkdir(parents=True)
        record(Run(folder, None, resumed=False), config(f"run_dir={folder}", *overrides), {"train": []}, {})
        started += 10
        os.utime(folder / "config.yaml", (started, started))
        return folder

    return make


def test_newest_run_with_the_same_configuration_is_found(make_run, tmp_path):
    make_run("1")
    wanted = make_run("sweeps/2/0")
    make_run("3", "seed=1")
    found = find_run(config("resume=true"), tmp_path / "fresh")
    assert found is not None
    assert found.resolve() == wanted


def test_options_of_the_call_do_not_matter(make_run, tmp_path):
    wanted = make_run("1", "resume=true", "allow_changed=[seed]", "preflight=false", "output_dir=/somewhere/outputs")
    cfg = config("resume=true", f"output_dir={tmp_path / 'outputs'}")
    assert find_run(cfg, tmp_path / "fresh") == wanted


def test_run_folder_can_be_named(make_run, tmp_path):
    older = make_run("1")
    make_run("2")
    assert find_run(config(f"resume={older}"), tmp_path / "fresh") == older
    assert find_run(config("resume=true"), older) == older  # by hydra.run.dir


@pytest.mark.parametrize("how", ["by name", "by hydra.run.dir"])
def test_changed_configuration_is_refused_with_the_difference(make_run, tmp_path, how):
    folder = make_run("1", "trainer.max_epochs=5", "seed=1")
    cfg = config(f"resume={folder}" if how == "by name" else "resume=true", "trainer.max_epochs=9", "seed=1")
    fresh = tmp_path / "fresh" if how == "by name" else folder
    message = (
        r"the configuration is not that of .*quick/1: trainer\.max_epochs was 5, is now 9; "
        r"repeat the options of that run, or allow the change with allow_changed=\[trainer\.max_epochs\]"
    )
    with pytest.raises(UserError, match=message):
        find_run(cfg, fresh)
    cfg.allow_changed = ["trainer.max_epochs"]
    assert find_run(cfg, fresh) == folder
    cfg.allow_changed = ["trainer"]  # all keys below it
    assert find_run(cfg, fresh) == folder
    cfg.allow_changed = ["trainer.max"]  # no such key
    with pytest.raises(UserError, match="was 5, is now 9"):
        find_run(cfg, fresh)


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        # A value that other keys repeat is listed once.
        ("spacing_mm=[3,3,3]", "spacing_mm=[2,2,2]", "spacing_mm was [3, 3, 3], is now [2, 2, 2]"),
        ("preprocess=ct", "preprocess=cube", "preprocess.transforms was "),
        ("seed=0", "data.seed=1", "data.seed was 0, is now 1"),
        ("data.seed=1", "seed=0", "data.seed was 1, is now 0"),  # `data.seed` refers to `seed`, which is equal
        ("seed=0", "+model.net.extra=1", "model.net.extra was None, is now 1"),
    ],
)
def test_difference_is_listed_where_it_was_made(make_run, tmp_path, then, now, expected):
    folder = make_run("1", then)
    with pytest.raises(UserError) as info:
        find_run(config(f"resume={folder}", now), tmp_path / "fresh")
    difference = str(info.value).split("quick/1: ")[1].split("; repeat the options")[0]
    assert difference.startswith(expected)
    assert difference.count(" was ") == 1


def test_the_order_of_a_set_is_no_difference(make_run, tmp_path):
    folder = make_run("1", "+tta=[moved,scaled]")
    assert find_run(config(f"resume={folder}", "+tta=[scaled,moved]"), tmp_path / "fresh") == folder
    with pytest.raises(UserError, match=r"tta was \['moved', 'scaled'\], is now \['moved'\]"):
        find_run(config(f"resume={folder}", "+tta=[moved]"), tmp_path / "fresh")


def test_many_differences_are_counted(make_run, tmp_path):
    folder = make_run("1")
    with pytest.raises(UserError, match=r" and \d+ more; repeat the options"):
        find_run(config(f"resume={folder}", "experiment=seed"), tmp_path / "fresh")


def test_nothing_to_resume_lists_differences_to_the_newest_run(make_run, tmp_path):
    with pytest.raises(
        UserError, match=r"^nothing to resume: no run in outputs/quick has this configuration; leave out resume=true"
    ):
        find_run(config("resume=true"), tmp_path / "fresh")
    make_run("1", "seed=1")
    with pytest.raises(UserError, match=r"in the newest, outputs/quick/1, seed was 1, is now 0; repeat"):
        find_run(config("resume=true"), tmp_path / "fresh")


@pytest.mark.parametrize("folder", ["nothing", "outputs"])
def test_other_folder_cannot_be_resumed(make_run, tmp_path, folder):
    make_run("1")
    with pytest.raises(UserError, match=f"resume={folder} is not a run folder: it has no config.yaml; name one"):
        find_run(config(f"resume={folder}"), tmp_path / "fresh")


def test_config_yaml_of_wandb_is_ignored(make_run, tmp_path):
    wanted = make_run("1")
    files = wanted / "wandb" / "run-1" / "files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text("_wandb: {value: 1}\n")
    (files / "environment.json").write_text("{}")
    found = find_run(config("resume=true"), tmp_path / "fresh")
    assert found is not None
    assert found.resolve() == wanted
    with pytest.raises(UserError, match="in the newest, outputs/quick/1, seed was 0, is now 1;"):
        find_run(config("resume=true", "seed=1"), tmp_path / "fresh")


def test_sweep_job_that_had_not_started_starts(tmp_path):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("train", ["resume=true", "hydra.mode=MULTIRUN"], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    try:
        assert find_run(cfg, tmp_path / "fresh") is None
    finally:
        HydraConfig.instance().cfg = None


def test_last_checkpoint_is_last_ckpt(tmp_path):
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.ckpt").touch()
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoints" / "last.ckpt"


def test_portable_configuration_has_no_paths():
    cfg = config("run_dir=/home/jane/outputs/1", "cache_dir=/scratch/jane/cache", "resume=true", "allow_changed=[seed]")
    values = portable(cfg)
    assert (values["run_dir"], values["cache_dir"], values["resume"], values["allow_changed"]) == (
        ".",
        "cache",
        True,
        ["seed"],
    )
    assert values["callbacks"]["checkpoint"]["dirpath"] == "./checkpoints"
    assert "jane" not in str(values)
    assert cfg.run_dir == "/home/jane/outputs/1"


def test_flat_keys_are_dotted():
    nested = {"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}], "f": None}
    assert flatten(nested) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}], "f": None}
    assert flatten({}) == {}


def test_optimizer_and_schedule_cannot_change_in_a_resumed_run(make_run, tmp_path):
    folder = make_run("1")
    changed = ["resume=true", "optimizer.lr=1", "allow_changed=[optimizer]"]
    assert find_run(config(*changed), tmp_path / "fresh").resolve() == folder  # it has no checkpoint yet
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(UserError, match="lr cannot change"):
        find_run(config(*changed), tmp_path / "fresh")
    longer = ["resume=true", "trainer.max_epochs=99", "allow_changed=[trainer.max_epochs]"]
    assert find_run(config(*longer), tmp_path / "fresh").resolve() == folder


def test_learning_rate_under_another_name_cannot_change(make_run, tmp_path):
    """For example, in an experiment with `optimizer.lr: ${lr}`."""
    ours = ["+lr=0.1", "optimizer.lr=${lr}"]
    folder = make_run("1", *ours)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    changed = ["resume=true", "+lr=0.2", "optimizer.lr=${lr}", "allow_changed=[lr]"]
    with pytest.raises(UserError, match=r"optimizer\.lr cannot change"):
        find_run(config(*changed), tmp_path / "fresh")


def test_repeated_run_is_not_resumed(make_run, tmp_path):
    first, second = make_run("1"), make_run("2")
    found = find_run(config("resume=true", f"from_run={second}"), tmp_path / "fresh")
    assert found.resolve() == first
