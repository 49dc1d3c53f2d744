"""The trial before a run: its forecast and its warnings, and that it does not change the run."""

import dataclasses
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from segment import build
from segment.checkpoint.resumable import epochs_done
from segment.commands.command import config_dir
from segment.commands.train import train
from segment.errors import UserError
from segment.forecast import preflight, stopwatch
from segment.forecast.forecast import TrialTimes
from segment.model.combined_loss import Ramp

# One worker runs this file, because its tests share a finished run.
pytestmark = [
    pytest.mark.xdist_group("preflight"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes"),
    pytest.mark.filterwarnings("ignore:.*`srun` command is available"),
]

TINY = ["experiment=smoke", "callbacks.cases.overlay=false", "data.patches_per_epoch=3", "data.batch_size=1"]
TINY += ["logger=csv", "callbacks.progress=null", "+trainer.enable_progress_bar=false", "trainer.max_epochs=2"]
TINY += ["page=false"]
TRIAL = TrialTimes(8, 1.0, 0.5, 0.0, 2.0, 2.5, 0.5, 2.0, 10**9, None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Cache with synthetic CTs and volumes, shared by the runs of this file."""
    return tmp_path_factory.mktemp("cache")


def config(folder: Path, cache: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose("train", [*TINY, f"run_dir={folder}", f"cache_dir={cache}", *overrides])


def checkpoint(run: Path) -> dict:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def tried(tmp_path_factory, cache) -> Path:
    """A run with a trial."""
    folder = tmp_path_factory.mktemp("tried")
    train(config(folder, cache, "preflight=true"))
    return folder


@pytest.fixture(scope="module")
def untried(tmp_path_factory, cache) -> Path:
    """The same run without a trial."""
    folder = tmp_path_factory.mktemp("untried")
    train(config(folder, cache, "preflight=false"))
    return folder


def assert_equal(one, other, where=""):
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_equal(*pair, f"{where}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def test_run_with_a_trial_equals_the_run_without(tried, untried):
    ours, theirs = checkpoint(tried), checkpoint(untried)
    for content in (ours, theirs):
        content["segment"]["config"].pop("run_dir", None)
        content["segment"].pop("time", None)
    assert_equal(ours, theirs)
    for name in ("metrics.csv", "cases.csv"):
        assert (tried / name).read_text() == (untried / name).read_text()
    assert {path.name for path in tried.iterdir()} - {path.name for path in untried.iterdir()} == {"preflight.json"}


def test_forecast_is_written_to_the_run_folder(tried):
    written = json.loads((tried / "preflight.json").read_text())
    assert written["patches_per_epoch"] == 3
    assert 0 < 3 * written["step_s"] < written["epoch_s"]
    whole = 2 * (written["epoch_s"] + written["validation_s"]) + written["test_s"]
    assert whole < written["total_s"] < whole + 60
    assert 2 * 10**8 < written["memory_bytes"] < 10**11
    assert written["gpu_bytes"] is None
    assert written["at_most"]  # early stopping may end it
    (warning,) = [sentence for sentence in written["warnings"] if "fewer than one patch" in sentence]
    assert "liver, right_kidney, left_kidney, spleen" in warning


def test_preflight_only_writes_no_run(tmp_path, cache, tried, capsys):
    train(config(tmp_path, cache, "preflight=only"))
    assert {path.name for path in tmp_path.iterdir()} == {"preflight.json", "train.log"}
    assert "pre-flight: 3 patches an epoch, " in capsys.readouterr().out
    assert "WARNING segment.forecast.preflight: fewer than one patch" in (tmp_path / "train.log").read_text()


def test_loss_that_is_not_finite_ends_the_run_before_training(tmp_path, cache, tried):
    too_fast = ["optimizer.lr=1e30", "trainer.gradient_clip_val=null", "data.patches_per_epoch=30"]
    with pytest.raises(UserError, match=r"is not finite; the batch and the weights before it are in .*/nan/epoch_0"):
        train(config(tmp_path, cache, *too_fast))
    assert len(list((tmp_path / "nan").iterdir())) == 1
    with pytest.raises(UserError, match=r"the loss of step \d \(phantom/phantom_seed3_000\d\) is (nan|inf); look at"):
        train(config(tmp_path / "unguarded", cache, *too_fast, "callbacks.guard=null"))
    assert not list(tmp_path.rglob("checkpoints"))
    assert not (tmp_path / "metrics.csv").exists()
    assert not list(tmp_path.glob(".preflight*"))


class Spy:
    """Replaces the trial and keeps its arguments."""

    def __call__(self, cfg, run, datamodule, epoch):
        self.cfg, self.datamodule, self.epoch = cfg, datamodule, epoch
        return TRIAL


@pytest.fixture
def spy(monkeypatch):
    spy = Spy()
    monkeypatch.setattr(preflight, "run_trial", spy)
    return spy


def forecast(folder: Path, cache: Path, *overrides: str, checkpoint: Path | None = None):
    cfg = config(folder, cache, *overrides)
    pl.seed_everything(cfg.seed)
    return preflight.preflight(cfg, build.parts(cfg), folder, checkpoint)


# 1 s once, 2 s an epoch and 0.5 s a step; phantom_small has one validation case (3 s) and two test cases (2 s each).
@pytest.mark.parametrize(
    ("overrides", "total_s"),
    [
        ([], 1 + 2 * (2 + 1.5 + 3) + 4),
        (["test=false"], 1 + 2 * (2 + 1.5 + 3)),
        (["trainer.check_val_every_n_epoch=2"], 1 + 2 * (2 + 1.5) + 3 + 4),
        (["data.batch_size=2"], 1 + 2 * (2 + 1.0 + 3) + 4),  # rounded up to whole batches
        (["data.patches_per_epoch=null"], 1 + 2 * (2 + 2.5 + 3) + 4),  # one for each of the five cases
        (["+trainer.limit_train_batches=2"], 1 + 2 * (2 + 1.0 + 3) + 4),
        (["+trainer.limit_train_batches=0.4"], 1 + 2 * (2 + 0.5 + 3) + 4),
        (["+trainer.limit_val_batches=0", "+trainer.limit_test_batches=1"], 1 + 2 * (2 + 1.5) + 2),
        (["trainer.max_time='00:00:00:05'"], 1 + 5 + 4),
    ],
)
def test_configured_run_is_forecast(tmp_path, cache, tried, spy, overrides, total_s):
    result = forecast(tmp_path, cache, *overrides, "model.inferer.patch_size=[128,128,128]")  # one window per case
    assert result.total_s == pytest.approx(total_s)


def test_resumed_run_is_forecast_from_its_checkpoint(tmp_path, cache, tried, spy):
    last = tried / "checkpoints" / "last.ckpt"
    one_patch = "model.inferer.patch_size=[128,128,128]"
    result = forecast(tmp_path, cache, "trainer.max_epochs=5", one_patch, checkpoint=last)
    assert result.total_s == pytest.approx(1 + 3 * (2 + 1.5 + 3) + 4)
    assert epochs_done(last, 3) == 2
    content = checkpoint(tried)
    fit = content["loops"]["fit_loop"]
    # A checkpoint in the middle of the third epoch.
    fit["epoch_progress"]["current"] |= {"ready": 3, "started": 3, "processed": 2, "completed": 2}
    fit["epoch_loop.batch_progress"]["current"]["completed"] = 2
    torch.save(content, tmp_path / "middle.ckpt")
    assert epochs_done(tmp_path / "middle.ckpt", 4) == 2.5


def test_a_time_limit_of_a_resumed_run_is_what_is_left_of_it(tmp_path, cache, tried, spy):
    content = checkpoint(tried)
    content["callbacks"]["Timer"] = {"time_elapsed": {"train": 3.0}}
    torch.save(content, tmp_path / "stopped.ckpt")
    limit = ["trainer.max_epochs=9", "trainer.max_time='00:00:00:05'", "model.inferer.patch_size=[128,128,128]"]
    result = forecast(tmp_path, cache, *limit, checkpoint=tmp_path / "stopped.ckpt")
    assert result.total_s == pytest.approx(1 + 2 + 4)


def test_trial_has_a_few_steps_and_the_largest_cases(tmp_path, cache, tried, spy):
    forecast(tmp_path, cache, "split.val=0.4", "data.patches_per_epoch=1000", "data.num_workers=3")
    data = spy.datamodule
    assert spy.cfg.trainer.limit_train_batches == 4 * 3 + 2
    assert data.patches_per_epoch == 4 * 3 + 2 + 2 * 3  # workers are busy until the last step, as in the run
    windows = build.parts(spy.cfg).module.inferer.windows
    amounts = {case: windows(volume.image.shape) for case, volume in data.volumes.items()}
    whole = config(tmp_path, cache, "split.val=0.4", "data.num_workers=3")
    split = build.parts(whole).datamodule.split
    for part in ("val", "test"):
        cases, (chosen,) = getattr(split, part), getattr(data.split, part)
        assert amounts[chosen.id] == max(amounts[case.id] for case in cases)
    assert data.split.train == split.train
    assert Path(spy.cfg.run_dir).parent == tmp_path
    assert "progress" not in spy.cfg.callbacks


def test_short_run_has_a_short_trial(tmp_path, cache, tried, spy):
    forecast(tmp_path, cache, "data.patches_per_epoch=100", "data.num_workers=3")
    assert spy.cfg.trainer.limit_train_batches == 6  # 3 % of 200 steps
    forecast(tmp_path, cache, "data.patches_per_epoch=10", "data.batch_size=2", "data.num_workers=3")
    assert spy.cfg.trainer.limit_train_batches == 4
    assert spy.datamodule.patches_per_epoch == 2 * (4 + 6)


def test_trial_computes_the_same_as_the_middle_of_the_run(tmp_path, cache, tried, monkeypatch):
    weights, frozen = [], []
    real = Ramp.forward

    def forward(ramp, logits, label):
        weights.append(ramp.weight)
        frozen.append(logits.grad_fn is not None and not all(p.requires_grad for p in parts[-1].module.parameters()))
        return real(ramp, logits, label)

    monkeypatch.setattr(Ramp, "forward", forward)
    parts, make = [], build.parts
    monkeypatch.setattr(build, "parts", lambda *given: parts.append(make(*given)) or parts[-1])
    rising = ["model/criterion=boundary", "callbacks=[default,freeze]", "callbacks.freeze.until_epoch=2"]
    forecast(tmp_path, cache, *rising, "trainer.max_epochs=4")
    assert set(weights) == {0.25}  # epoch 2 of a ramp from 0 to 0.5 over 4 epochs
    assert len(weights) > 4  # in validation, too
    assert not any(frozen)


def test_trial_imitates_the_middle_of_the_remaining_epochs(tmp_path, cache, tried, spy):
    forecast(tmp_path, cache, "trainer.max_epochs=8", checkpoint=tried / "checkpoints" / "last.ckpt")
    assert spy.epoch == 5  # two of eight are done
    forecast(tmp_path, cache, "trainer.max_epochs=-1", "scheduler=none")
    assert spy.epoch == 10**9


def test_building_the_parts_is_not_in_the_forecast(tmp_path, cache, tried, monkeypatch):
    build_parts, calls, clock = build.parts, [], stopwatch.time

    class Clock:
        """A clock that building the parts advances by 1000 s."""

        @staticmethod
        def perf_counter():
            return clock.perf_counter() + 1000 * len(calls)

    def slow(*given):
        calls.append(given)
        return build_parts(*given)

    monkeypatch.setattr(build, "parts", slow)
    monkeypatch.setattr(stopwatch, "time", Clock)
    assert forecast(tmp_path, cache).total_s < 1000


def test_trial_does_not_change_random_numbers_and_weights(tmp_path, cache, tried):
    cfg = config(tmp_path, cache)
    pl.seed_everything(cfg.seed, workers=True)
    parts = build.parts(cfg)
    parts.datamodule.volumes  # noqa: B018
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    weights = {name: value.clone() for name, value in parts.module.state_dict().items()}
    result = preflight.preflight(cfg, parts, tmp_path, None)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert_equal(weights, dict(parts.module.state_dict()))
    assert parts.trainer.global_step == 0
    assert dataclasses.asdict(result)["test_s"] > 0


def test_trial_starts_with_the_weights_of_the_run(tmp_path, cache, tried):
    cfg = config(tmp_path, cache, "callbacks.guard=null")
    parts = build.parts(cfg)
    next(parts.module.parameters()).data.fill_(math.nan)
    with pytest.raises(UserError, match=r"the loss of step 1 \(.*\) is nan"):
        preflight.preflight(cfg, parts, tmp_path, None)
