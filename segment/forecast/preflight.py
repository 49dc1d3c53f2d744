"""The pre-flight: before the first epoch, try every part of the run once on copies, and forecast the run."""

import dataclasses
import json
import logging
import math
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import DictConfig

from segment import build
from segment.files import write_text
from segment.forecast.forecast import Forecast, Plan, TrialTimes, forecast
from segment.forecast.plan import make_plan
from segment.forecast.preserve import preserved_state
from segment.forecast.trial_run import run_trial, trial_config, trial_data, trial_steps
from segment.forecast.trouble import little_memory, rare_organs, slow_parts, small_volumes
from segment.memory import measure as memory

log = logging.getLogger(__name__)

MAX_EPOCH = 10**9  # stands for the middle of an endless run, when all schedules have ended


def preflight(cfg: DictConfig, parts: build.Parts, folder: Path, checkpoint: Path | None) -> Forecast:
    """Try every part of the run once, forecast the run, warn of problems, and write `preflight.json`.

    The trial is built from the same configuration and starts with the run's weights, seed and patches. It does not
    change the run's weights or random numbers. It trains for a few steps, validates the largest volume and tests the
    largest CT, because these need the most memory. Losses with a weight that rises over epochs, and parameters that are
    frozen at first, are set as in the middle of the remaining epochs.

    With several processes only rank 0 runs the trial. The forecast then does not include the exchange of gradients, and
    ignores that the processes share cores and memory.

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
    plan = make_plan(cfg, parts, sizes, checkpoint)
    with TemporaryDirectory(prefix=".preflight-", dir=folder) as scratch, preserved_state(cfg.seed):
        middle = int(min((plan.epochs_done + plan.epochs) / 2, MAX_EPOCH))
        steps = trial_steps(plan, datamodule.num_workers)
        data = trial_data(parts, plan, sizes, steps)
        trial = run_trial(trial_config(cfg, parts, scratch, steps), parts, data, middle)
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
