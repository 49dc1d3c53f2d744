"""The trial of a run: the same configuration with a few steps, one validation volume and one test CT."""

import copy

import torch
from omegaconf import DictConfig, OmegaConf

from segment import build
from segment.data.datamodule import CTDataModule
from segment.data.splits.split import Split
from segment.forecast.forecast import Plan, TrialTimes
from segment.forecast.middle import shift_schedules
from segment.forecast.plan import Sizes, largest
from segment.forecast.stopwatch import Stopwatch

TRIAL_SHARE = 0.03  # a trial does at most this share of the run's steps


def trial_steps(plan: Plan, num_workers: int) -> int:
    """Number of steps of the trial.

    The first half uses up the batches that the workers have prepared; the second half is measured.
    """
    steps = max(8, 2 * _queue(num_workers) + 2)
    return int(min(steps, max(4, TRIAL_SHARE * plan.steps * (plan.epochs - plan.epochs_done))))


def _queue(num_workers: int) -> int:
    """Batches that a DataLoader's workers prepare in advance."""
    return 2 * num_workers


def trial_config(cfg: DictConfig, parts: build.Parts, folder: str, steps: int) -> DictConfig:
    """The run's configuration for one process and a few steps, in another folder, without progress bar."""
    trial = cfg.copy()
    OmegaConf.set_readonly(trial, False)
    OmegaConf.set_struct(trial, False)
    trial.run_dir = folder
    trial.logger = {"csv": {"_target_": "segment.loggers.metrics_csv.MetricsCSV", "folder": folder}}
    nodes = cfg.get("callbacks") or {}
    # Interrupt saves a checkpoint at a signal, but the folder of the trial is temporary.
    left_out = ("ProgressBar", "interrupt.Interrupt")
    callbacks = {}
    for name, node in nodes.items():
        if node and not str(node.get("_target_")).endswith(left_out):
            callbacks[name] = node
    trial.callbacks = callbacks
    guard = nodes.get("guard")
    if guard:  # resolved with the run's run_dir, because its files belong in the run folder
        trial.callbacks.guard = OmegaConf.to_container(guard, resolve=True)
    trial.trainer.update(
        {
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **dict.fromkeys(("min_epochs", "min_steps", "max_time"), None),
            "limit_train_batches": steps,
            "limit_val_batches": 1.0 if parts.trainer.limit_val_batches else 0,
            "limit_test_batches": 1.0,
            "check_val_every_n_epoch": 1,
        }
    )
    if parts.trainer.world_size > 1:
        on_cpu = parts.trainer.strategy.root_device.type == "cpu"
        devices = 1 if on_cpu else [parts.trainer.device_ids[0]]
        trial.trainer.update({"strategy": "auto", "devices": devices, "num_nodes": 1})
    return trial


def trial_data(parts: build.Parts, plan: Plan, sizes: Sizes, steps: int) -> CTDataModule:
    """The run's data, with patches for a few steps and only the largest validation and test case."""
    data = copy.copy(parts.datamodule)
    data.trainer = None
    # There are more patches than the trial uses, so that the workers are busy until the end. If they were idle, the
    # last steps would have all cores and be too fast.
    data.patches_per_epoch = data.batch_size * (steps + _queue(data.num_workers))
    split = data.split
    test = (largest(split.test, sizes),) if plan.test else ()
    data.split = Split(split.train, (largest(split.val, sizes),), test, split.shared)
    return data


def run_trial(cfg: DictConfig, run: build.Parts, datamodule: CTDataModule, epoch: int) -> TrialTimes:
    """Train, validate and test with the run's weights and the schedules of the given epoch, and return the times."""
    watch = Stopwatch()
    parts = build.parts(cfg, watch, datamodule)
    trainer, module = parts.trainer, parts.module
    module.load_state_dict(run.module.state_dict())
    shift_schedules(epoch, module.criterion, trainer.callbacks)  # type: ignore[attr-defined]
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    watch.start()
    trainer.fit(module, datamodule=datamodule)
    if datamodule.split.test:
        trainer.test(module, datamodule=datamodule, verbose=False)
    return watch.trial(device)
