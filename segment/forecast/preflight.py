"""Before the first epoch: a trial of everything once, on copies, and what it says about the run."""

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
from segment.forecast.middle import begin_at
from segment.forecast.preserve import preserved_state
from segment.forecast.stopwatch import Stopwatch
from segment.forecast.trouble import little_memory, rare_organs, slow_parts, small_volumes
from segment.memory import measure as memory

log = logging.getLogger(__name__)

Sizes = Mapping[str, tuple[int, int]]  # voxels and windows by case id
MODES = (True, False, "only")
SHARE = 0.03  # of a run's steps that its trial may do
ENDLESS = 10**9  # the middle of epochs without end: all that changes over epochs has done so


def preflight(cfg: DictConfig, parts: build.Parts, folder: Path, checkpoint: Path | None) -> Forecast:
    """Try everything once, forecast the run, warn of what will go wrong, and leave `preflight.json`.

    The trial is built anew from the configuration and begins with the run's weights, seed and patches, and nothing of
    the run changes: neither weights nor random numbers. It does some steps, validates the largest volume and tests the
    largest CT, because these need most memory. Losses that rise over epochs and parts that are frozen for some are as
    in the middle of what is left of the run. Of several processes only the first one does it, alone: what they take
    from each other, and their exchange of gradients, is not in the forecast.

    Args:
        cfg: The composed configuration.
        parts: The run.
        folder: The run folder.
        checkpoint: What the run resumes from; None: it starts anew.

    Raises:
        UserError: When a loss is not finite, or the GPU's memory is not enough.
    """
    datamodule, inferer = parts.datamodule, parts.module.inferer
    shapes = {name: volume.image.shape for name, volume in datamodule.volumes.items()}
    windows = getattr(inferer, "windows", math.prod)
    sizes = {name: (math.prod(shape), windows(shape)) for name, shape in shapes.items()}
    plan = _plan(cfg, parts, sizes, checkpoint)
    with TemporaryDirectory(prefix=".preflight-", dir=folder) as scratch, preserved_state(cfg.seed):
        middle = int(min((plan.begun + plan.epochs) / 2, ENDLESS))
        steps = _trial_steps(plan, datamodule.num_workers)
        trial = _try(_trial_config(cfg, parts, scratch, steps), parts, _trial_data(parts, plan, sizes, steps), middle)
    result = forecast(trial, plan)
    train = [datamodule.volumes[case.id] for case in datamodule.split.train]
    troubles = [
        *small_volumes([shapes[volume.id] for volume in train], datamodule.patch_size),
        *rare_organs([v.meta["classes"] for v in train], datamodule.organs, plan.patches, datamodule.foreground_share),
        *slow_parts(trial, plan, result),
        *little_memory(result, memory.available()),
    ]
    result = dataclasses.replace(result, warnings=troubles)
    write_text(folder / "preflight.json", json.dumps(dataclasses.asdict(result), indent=1))
    print(f"pre-flight: {result}")
    for trouble in troubles:
        log.warning("%s", trouble)
    return result


def _plan(cfg: DictConfig, parts: build.Parts, sizes: Sizes, checkpoint: Path | None) -> Plan:
    """What the run has to do, in this process."""
    datamodule, trainer = parts.datamodule, parts.trainer
    split, world_size = datamodule.split, trainer.world_size
    patches = datamodule.patches_per_epoch or len(split.train)
    batches = len(EpochSampler(0, patches, datamodule.batch_size, 0, world_size)) // datamodule.batch_size
    steps = _limited(batches, trainer.limit_train_batches)
    epochs = math.inf if trainer.max_epochs in (None, -1) else float(trainer.max_epochs)
    times = [timer.time_remaining() for timer in trainer.callbacks if isinstance(timer, Timer)]  # type: ignore[attr-defined]
    return Plan(
        patches=steps * datamodule.batch_size * world_size,
        steps=steps,
        begun=epochs_done(checkpoint, steps) if checkpoint else 0.0,
        epochs=epochs,
        validate_every=trainer.check_val_every_n_epoch or 1,
        validation=_share(split.val, split.val, sizes, world_size, trainer.limit_val_batches),
        test=_share(split.test, split.val, sizes, world_size, trainer.limit_test_batches) if cfg.test else None,
        fit_s=min((seconds for seconds in times if seconds is not None), default=math.inf),
        at_most=bool(trainer.early_stopping_callbacks),
    )


def _share(cases: Sequence[Case], val: Sequence[Case], sizes: Sizes, world_size: int, limit: float) -> Cases | None:
    """What this process does for its share of the cases; None: nothing."""
    share = cases[::world_size] if len(cases) >= world_size else cases
    share = share[: _limited(len(share), limit)]
    if not share:
        return None
    voxels, windows = (sum(amounts) for amounts in zip(*(sizes[case.id] for case in share), strict=True))
    largest = sizes[_largest(cases, sizes).id]
    return Cases(windows / largest[1], voxels / largest[0], largest[1] / sizes[_largest(val, sizes).id][1])


def _largest(cases: Sequence[Case], sizes: Sizes) -> Case:
    return max(cases, key=lambda case: sizes[case.id])


def _limited(count: int, limit: float) -> int:
    """Batches that Lightning takes: `limit` is a number of them or, as a float, a share."""
    return min(count, limit) if isinstance(limit, int) else int(count * limit)


def _trial_steps(plan: Plan, num_workers: int) -> int:
    """Steps of the trial: the first half empties the queue that workers fill meanwhile, the second is as any."""
    wanted = max(8, 2 * _queue(num_workers) + 2)
    return int(min(wanted, max(4, SHARE * plan.steps * (plan.epochs - plan.begun))))


def _queue(num_workers: int) -> int:
    """Batches that a DataLoader's workers make in advance."""
    return 2 * num_workers


def _trial_config(cfg: DictConfig, parts: build.Parts, folder: str, steps: int) -> DictConfig:
    """The run's configuration in another folder, in one process, without limits and progress bar."""
    trial = cfg.copy()
    OmegaConf.set_struct(trial, False)
    trial.run_dir = folder
    trial.logger = {"csv": {"_target_": "segment.loggers.metrics_csv.MetricsCSV", "folder": folder}}
    nodes = cfg.get("callbacks") or {}
    # A signal is for the run: the trial's checkpoints lie in a folder that goes.
    left = ("ProgressBar", "interrupt.Interrupt")
    trial.callbacks = {k: v for k, v in nodes.items() if v and not str(v.get("_target_")).endswith(left)}
    if guard := nodes.get("guard"):  # what it finds, the run would find
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
    """The run's data for a few steps and the largest case of each other part."""
    data = copy.copy(parts.datamodule)
    data.trainer = None
    # More than the steps take: workers that had nothing left to do would leave their cores to the last steps.
    data.patches_per_epoch = data.batch_size * (steps + _queue(data.num_workers))
    split = data.split
    test = (_largest(split.test, sizes),) if plan.test else ()
    data.split = Split(split.train, (_largest(split.val, sizes),), test, split.shared)
    return data


def _try(cfg: DictConfig, run: build.Parts, datamodule: CTDataModule, epoch: int) -> TrialTimes:
    """Train, validate and test a little, beginning with the run's weights, and as in this epoch."""
    watch = Stopwatch()
    parts = build.parts(cfg, watch)
    trainer, module = parts.trainer, parts.module
    module.load_state_dict(run.module.state_dict())
    begin_at(epoch, module.criterion, trainer.callbacks)  # type: ignore[attr-defined]
    device = trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    watch.start()
    trainer.fit(module, datamodule=datamodule)
    if datamodule.split.test:
        trainer.test(module, datamodule=datamodule, verbose=False)
    return watch.trial(device)
