"""The pre-flight: try everything once before the first epoch, on copies, and forecast the run."""

import copy
import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Timer

from segment import build
from segment.checkpoint.load import epochs_done
from segment.data.datamodule import CTDataModule
from segment.data.patches import EpochSampler
from segment.data.splits.split import Split
from segment.datasets.cases import Case
from segment.files import write_text
from segment.forecast.forecast import Cases, Forecast, Plan, TrialTimes, forecast
from segment.forecast.middle import shift_schedules
from segment.forecast.preserve import preserved_state
from segment.forecast.stopwatch import Stopwatch
from segment.forecast.trouble import little_memory, rare_organs, slow_parts, small_volumes
from segment.memory import measure as memory

log = logging.getLogger(__name__)

Sizes = Mapping[str, tuple[int, int]]  # voxels and windows by case id
MODES = (True, False, "only")
TRIAL_SHARE = 0.03  # a trial does at most this share of the run's steps
MAX_EPOCH = 10**9  # stands for the middle of an endless run, when all schedules have ended


def preflight(cfg: DictConfig, parts: build.Parts, folder: Path, checkpoint: Path | None) -> Forecast:
    """Try everything once, forecast the run, warn of problems, and write `preflight.json`.

    The trial is built from the same configuration and starts with the run's weights, seed and patches. It does not
    change the run's weights or random numbers. It does a few steps, validates the largest volume and tests the largest
    CT, because these need most memory. Losses that rise over epochs, and parts that are frozen at first, are set as in
    the middle of the remaining epochs.

    With several processes only rank 0 runs the trial. The forecast then does not include the exchange of gradients, nor
    the cores and memory that the processes take from each other.

    Args:
        cfg: The composed configuration.
        parts: The run.
        folder: The run folder.
        checkpoint: Checkpoint to resume from; None: the run starts from scratch.

    Raises:
        UserError: When a loss is not finite, or the GPU runs out of memory.
    """
    datamodule, inferer = parts.datamodule, parts.module.inferer
    shapes = {name: volume.image.shape for name, volume in datamodule.volumes.items()}
    windows = getattr(inferer, "windows", math.prod)
    sizes = {name: (math.prod(shape), windows(shape)) for name, shape in shapes.items()}
    plan = _plan(cfg, parts, sizes, checkpoint)
    with TemporaryDirectory(prefix=".preflight-", dir=folder) as scratch, preserved_state(cfg.seed):
        middle = int(min((plan.epochs_done + plan.epochs) / 2, MAX_EPOCH))
        steps = _trial_steps(plan, datamodule.num_workers)
        trial = _try(_trial_config(cfg, parts, scratch, steps), parts, _trial_data(parts, plan, sizes, steps), middle)
    result = forecast(trial, plan)
    warnings = _warnings(parts, plan, trial, result)
    result = dataclasses.replace(result, warnings=warnings)
    write_text(folder / "preflight.json", json.dumps(dataclasses.asdict(result), indent=1))
    print(f"pre-flight: {result}")
    for warning in warnings:
        log.warning("%s", warning)
    return result


def _warnings(parts: build.Parts, plan: Plan, trial: TrialTimes, result: Forecast) -> list[str]:
    datamodule = parts.datamodule
    train = [datamodule.volumes[case.id] for case in datamodule.split.train]
    shapes = [volume.image.shape for volume in train]
    classes = [volume.meta["classes"] for volume in train]
    return [
        *small_volumes(shapes, datamodule.patch_size),
        *rare_organs(classes, datamodule.organs, plan.patches, datamodule.foreground_share),
        *slow_parts(trial, plan, result),
        *little_memory(result, memory.available()),
    ]


def _plan(cfg: DictConfig, parts: build.Parts, sizes: Sizes, checkpoint: Path | None) -> Plan:
    """Count the epochs, steps and cases that this process has to do."""
    datamodule, trainer = parts.datamodule, parts.trainer
    split, world_size = datamodule.split, trainer.world_size
    patches = datamodule.patches_per_epoch or len(split.train)
    batches = len(EpochSampler(0, patches, datamodule.batch_size, 0, world_size)) // datamodule.batch_size
    steps = _limited(batches, trainer.limit_train_batches)
    epochs = math.inf if trainer.max_epochs in (None, -1) else float(trainer.max_epochs)
    limits = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        remaining = callback.time_remaining() if isinstance(callback, Timer) else None
        if remaining is not None:
            limits.append(remaining)
    return Plan(
        patches=steps * datamodule.batch_size * world_size,
        steps=steps,
        epochs_done=0.0 if checkpoint is None else epochs_done(checkpoint, steps),
        epochs=epochs,
        validate_every=trainer.check_val_every_n_epoch or 1,
        validation=_share(split.val, split.val, sizes, world_size, trainer.limit_val_batches),
        test=_share(split.test, split.val, sizes, world_size, trainer.limit_test_batches) if cfg.test else None,
        fit_s=min(limits, default=math.inf),
        at_most=bool(trainer.early_stopping_callbacks),
    )


def _share(cases: Sequence[Case], val: Sequence[Case], sizes: Sizes, world_size: int, limit: float) -> Cases | None:
    """Size of this process's share of the cases; None if it has no case.

    Args:
        cases: All cases of the part.
        val: The validation cases.
        sizes: Voxels and windows by case id.
        world_size: Number of processes.
        limit: `limit_val_batches` or `limit_test_batches`.
    """
    share = cases[::world_size] if len(cases) >= world_size else cases
    share = share[: _limited(len(share), limit)]
    if not share:
        return None
    voxels = sum(sizes[case.id][0] for case in share)
    windows = sum(sizes[case.id][1] for case in share)
    tried_voxels, tried_windows = sizes[_largest(cases, sizes).id]
    _, val_windows = sizes[_largest(val, sizes).id]
    return Cases(windows / tried_windows, voxels / tried_voxels, tried_windows / val_windows)


def _largest(cases: Sequence[Case], sizes: Sizes) -> Case:
    return max(cases, key=lambda case: sizes[case.id])


def _limited(count: int, limit: float) -> int:
    """Number of batches after Lightning's `limit`: an int is a number of batches, a float a share of `count`."""
    return min(count, limit) if isinstance(limit, int) else int(count * limit)


def _trial_steps(plan: Plan, num_workers: int) -> int:
    """Number of steps of the trial.

    The first half uses up the batches that the workers have prepared; the second half is measured.
    """
    steps = max(8, 2 * _queue(num_workers) + 2)
    return int(min(steps, max(4, TRIAL_SHARE * plan.steps * (plan.epochs - plan.epochs_done))))


def _queue(num_workers: int) -> int:
    """Batches that a DataLoader's workers prepare in advance."""
    return 2 * num_workers


def _trial_config(cfg: DictConfig, parts: build.Parts, folder: str, steps: int) -> DictConfig:
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


def _trial_data(parts: build.Parts, plan: Plan, sizes: Sizes, steps: int) -> CTDataModule:
    """The run's data, with patches for a few steps and only the largest validation and test case."""
    data = copy.copy(parts.datamodule)
    data.trainer = None
    # More patches than the trial uses: idle workers would leave their cores to the last steps, which would be faster.
    data.patches_per_epoch = data.batch_size * (steps + _queue(data.num_workers))
    split = data.split
    test = (_largest(split.test, sizes),) if plan.test else ()
    data.split = Split(split.train, (_largest(split.val, sizes),), test, split.shared)
    return data


def _try(cfg: DictConfig, run: build.Parts, datamodule: CTDataModule, epoch: int) -> TrialTimes:
    """Train, validate and test with the run's weights, with schedules as in the given epoch; return the times."""
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
