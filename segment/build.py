"""Configuration → objects, and checkpoint → network. With the doors, the only code that sees Hydra."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import HydraException
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.warnings import PossibleUserWarning
from omegaconf import DictConfig, OmegaConf

from segment.configuration import portable
from segment.data.cases import Case, gather
from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.inference.segmenter import Segmenter
from segment.metrics.recipe import recipe
from segment.metrics.wandb_run import WandbRun
from segment.model.checkpoint import AtomicCheckpointIO
from segment.model.module import SegmentationModule
from segment.run.processes import check_number, environment
from segment.trust import checked
from segment.values import check_values

# What a checkpoint needs to be used without the run that made it.
CHECKPOINT_KEYS = ("organs", "preprocess", "model")


@dataclass(frozen=True)
class Parts:
    """What one training run is made of."""

    datamodule: CTDataModule
    module: SegmentationModule
    trainer: pl.Trainer


def cases(data: DictConfig) -> list[Case]:
    """Cases of every source that a `data` node names, without those that it excludes."""
    sources = {str(name): instantiate(node, _convert_="all") for name, node in data.sources.items()}
    return gather(sources, data.get("exclude") or ())


def parts(cfg: DictConfig, watch: pl.Callback | None = None) -> Parts:
    """Instantiate data, module and trainer of a composed training configuration.

    Args:
        cfg: The configuration.
        watch: What watches a trial, which is one process even where a cluster or `torchrun` has started several.

    Raises:
        UserError: When a value is of the wrong kind or the precision is not for this machine.
        HydraException: When a constructor refuses its arguments.
    """
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    check_values(resolved)
    check_precision(cfg.trainer)
    loggers = [instantiate(node) for node in (cfg.get("logger") or {}).values() if node]
    callbacks = [instantiate(node) for node in (cfg.get("callbacks") or {}).values() if node]
    datamodule: CTDataModule = instantiate(cfg.data, _convert_="all")
    module: SegmentationModule = instantiate(cfg.model, _convert_="all")
    module.checkpoint_facts = {
        "config": {key: resolved[key] for key in CHECKPOINT_KEYS},
        "trained": recipe(portable(cfg)),
    }
    if cfg.compile:
        _compile(module)
    plugins: list[Any] = [AtomicCheckpointIO(), environment() if watch is None else LightningEnvironment()]
    if watch is not None:
        callbacks.append(watch)
    # Lightning says so at every start where SLURM is installed, as on the machine that jobs are sent from.
    warnings.filterwarnings("ignore", "The `srun` command is available", PossibleUserWarning)
    trainer: pl.Trainer = instantiate(cfg.trainer, callbacks=callbacks, logger=loggers or False, plugins=plugins)
    if watch is None:
        check_number(trainer)
    return Parts(datamodule, module, trainer)


def _compile(module: SegmentationModule) -> None:
    """Compile the network in place: its weights keep their names, and a copy or a checkpoint is not compiled."""
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++"))):
        msg = "compile=true needs a C++ compiler on a CPU, and there is neither g++ nor clang++; install one"
        raise UserError(msg)
    module.net.compile()


def steps_of(checkpoint: Path) -> int:
    """Optimizer steps that a checkpoint has behind it."""
    return int(read_checkpoint(checkpoint)["global_step"])


def epochs_done(checkpoint: Path, steps: int) -> float:
    """Epochs that a checkpoint has behind it, the last one possibly in part, where an epoch has so many batches."""
    fit = read_checkpoint(checkpoint)["loops"]["fit_loop"]
    epochs, batches = fit["epoch_progress"]["current"], fit["epoch_loop.batch_progress"]["current"]
    in_epoch = epochs["ready"] > epochs["processed"]
    return float(epochs["processed"] + (batches["completed"] / steps if in_epoch else 0.0))


def seen_by(checkpoint: Path) -> set[str]:
    """Voxel hashes of the CTs that a checkpoint was trained or selected on."""
    return set(read_checkpoint(checkpoint)["segment"]["voxel_hashes"])


def check_resumable(checkpoint: Path, module: SegmentationModule, other_data: bool) -> None:
    """Refuse a checkpoint of other organs, another network or other data.

    Args:
        checkpoint: What training is to resume from.
        module: The module that is to take it up, with its `checkpoint_facts`.
        other_data: Whether data may have changed.

    Raises:
        UserError: With the first difference.
    """
    before, after = read_checkpoint(checkpoint), module.checkpoint_facts
    organs, organs_now = before["segment"]["config"]["organs"], after["config"]["organs"]
    if organs != organs_now:
        msg = f"{checkpoint} was trained for {', '.join(organs)}, not for {', '.join(organs_now)}; train anew"
        raise UserError(msg)
    shapes, wanted = ({k: tuple(v.shape) for k, v in d.items()} for d in (before["state_dict"], module.state_dict()))
    if different := [key for key in sorted(shapes.keys() | wanted.keys()) if shapes.get(key) != wanted.get(key)]:
        key = different[0]
        msg = (
            f"{checkpoint} holds another network: {key} is {shapes.get(key)} there, {wanted.get(key)} here; train anew"
        )
        raise UserError(msg)
    # Not equality: after training has gone on with other data, the checkpoint names the CTs of before, too.
    unseen = set(after["voxel_hashes"]) - set(before["segment"]["voxel_hashes"])
    if (unseen or before["segment"]["split"] != after["split"]) and not other_data:
        msg = f"{checkpoint} was trained on other CTs or another split of them; train anew, or allow_changed=[data]"
        raise UserError(msg)


def close(trainer: pl.Trainer) -> None:
    """Finish every logger; without it the next job of a sweep would log into this one's run."""
    for logger in trainer.loggers:
        logger.finalize("success" if trainer.state.finished else "failed")
        if isinstance(logger, WandbRun):
            logger.finish()


def check_precision(trainer: DictConfig) -> None:
    """Refuse half precision where the CPU would emulate it.

    Lightning turns 16-mixed on a CPU into bfloat16 without a word, and without AVX512-BF16 or AMX that is tens of
    times slower than float32.

    Raises:
        UserError: With the precision to use.
    """
    precision = str(trainer.get("precision", "32-true"))
    accelerator = trainer.get("accelerator", "auto")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    if on_cpu and precision.startswith(("16", "bf16")):
        capable = "bf16" in precision and torch.cpu._is_avx512_bf16_supported()  # no public query exists
        if not capable:
            msg = f"trainer.precision={precision} is far slower than float32 on this CPU; use trainer.precision=32-true"
            raise UserError(msg)


@dataclass(frozen=True)
class Trained:
    """A network out of a checkpoint, ready to segment.

    Attributes:
        organs: Class i is organs[i-1].
        module: The module with its weights, in evaluation mode.
        facts: What the checkpoint says of itself: `config`, `trained`, the dotted keys of the recipe and the seed, and
            from training `split` and `voxel_hashes`.
    """

    organs: list[str]
    module: SegmentationModule
    facts: dict[str, Any]

    @property
    def segmenter(self) -> Segmenter:
        """From a CT to its mask."""
        return self.module.segmenter


def load(path: str | Path, trust: Sequence[str] = ()) -> Trained:
    """Rebuild a trained network from nothing but its checkpoint.

    A checkpoint cannot run code: it is read with `weights_only=True`, and its configuration may name only classes of
    trusted modules; see `segment.trust`.

    Args:
        path: A checkpoint file written by `segment train`.
        trust: More modules to allow, such as the one that holds your own network.

    Raises:
        UserError: When the file is missing, is not such a checkpoint, or names something else.
    """
    checkpoint = read_checkpoint(Path(path))
    config = checked(checkpoint["segment"]["config"], trust)
    try:
        module = instantiate(config["model"], _convert_="all")
        if not isinstance(module, SegmentationModule):
            msg = f"its model is a {type(module).__name__}"
            raise TypeError(msg)
        module.load_state_dict(checkpoint["state_dict"])
    except (HydraException, RuntimeError, KeyError, TypeError) as error:
        msg = f"{path} cannot be rebuilt by this version of segment: {_first_line(error)}"
        raise UserError(msg) from error
    return Trained(list(config["organs"]), module.eval(), checkpoint["segment"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of `segment train`: tensors and plain values, since it is read with weights_only."""
    if not path.is_file():
        msg = f"no such checkpoint: {path}; a run's best one is <run folder>/checkpoints/best.ckpt"
        raise UserError(msg)
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = {*CHECKPOINT_KEYS} - {*content["segment"]["config"]}
    except Exception as error:  # damaged or foreign bytes make torch raise nearly anything
        msg = f"{path} is not a checkpoint of `segment train` or is damaged ({_first_line(error)}); use another file"
        raise UserError(msg) from error
    if missing:
        msg = f"{path} lacks {', '.join(sorted(missing))} and cannot be used without the run that made it"
        raise UserError(msg)
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:150]


def device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        msg = f"device={name} cannot be used here; take device=cpu or device=auto"
        raise UserError(msg) from error
