"""Configuration → data, module and trainer."""

import shutil
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.warnings import PossibleUserWarning
from omegaconf import DictConfig, OmegaConf

from segment.callbacks.checkpoint import AtomicCheckpointIO
from segment.callbacks.reseed import Reseed
from segment.checkpoint.load import CHECKPOINT_KEYS
from segment.configuration.values import portable
from segment.data.datamodule import CTDataModule
from segment.datasets.cases import Case, Refused, Source, gather, inventory
from segment.errors import UserError
from segment.io.left_out import LeftOut
from segment.loggers.metrics_csv import LogBeforeSaving
from segment.loggers.wandb_run import WandbRun
from segment.memory.network import check_weights
from segment.model.module import SegmentationModule
from segment.run.processes import check_number, cluster_environment
from segment.run.recipe import recipe
from segment.run.trainer import NEEDED, check_length, check_needed


@dataclass(frozen=True)
class Parts:
    """What one training run is made of."""

    datamodule: CTDataModule
    module: SegmentationModule
    trainer: pl.Trainer


def cases(data: DictConfig) -> list[Case]:
    """Cases of every source that a `data` node names, without those that it excludes."""
    return gather(_sources(data), data.get("exclude") or ())


def usable_cases(data: DictConfig) -> tuple[list[Case], Refused]:
    """As `cases`, but cases and sources that cannot be used are listed with their reasons instead of raised."""
    return inventory(_sources(data), data.get("exclude") or ())


def left_out(data: DictConfig) -> dict[str, list[LeftOut]]:
    """What belongs to no case, by source; nothing of a source that cannot be listed."""
    found = {}
    for name, source in _sources(data).items():
        with suppress(UserError):  # which `usable_cases` lists
            found[name] = source.left_out(source.cases(name, []))
    return found


def _sources(data: DictConfig) -> dict[str, Source]:
    return {str(name): instantiate(node, _convert_="all") for name, node in data.sources.items()}


def parts(cfg: DictConfig, watch: pl.Callback | None = None) -> Parts:
    """Instantiate data, module and trainer of a composed training configuration.

    Args:
        cfg: The configuration.
        watch: What watches a trial, which is one process even where a cluster or `torchrun` has started several.

    Raises:
        UserError: When a value is of the wrong kind, there is no GPU, or the precision is not for this machine.
        HydraException: When a constructor refuses its arguments.
    """
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    check_accelerator(cfg.trainer)
    check_precision(cfg.trainer)
    check_length(cfg.trainer)
    check_needed(cfg.trainer)
    loggers = [instantiate(node) for node in (cfg.get("logger") or {}).values() if node]
    callbacks = [instantiate(node) for node in (cfg.get("callbacks") or {}).values() if node]
    callbacks = [Reseed(cfg.seed), LogBeforeSaving(), *callbacks]  # without which no resume is exact
    datamodule: CTDataModule = instantiate(cfg.data, _convert_="all")
    if cfg.model.net.get("_partial_"):
        check_weights(instantiate(cfg.model.net, _convert_="all"), 1 + len(cfg.organs))
    module: SegmentationModule = instantiate(cfg.model, _convert_="all")
    module.checkpoint_metadata = {
        "config": {key: resolved[key] for key in CHECKPOINT_KEYS},
        "trained": recipe(portable(cfg)),
    }
    if cfg.compile:
        _compile(module)
    plugins: list[Any] = [AtomicCheckpointIO(), cluster_environment() if watch is None else LightningEnvironment()]
    if watch is not None:
        callbacks.append(watch)
    # Lightning 2.6 asks PyTorch in a way that PyTorch 2.13 deprecates; nobody but Lightning can change it.
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
    # Lightning says so at every start where SLURM is installed, as on the machine that jobs are sent from.
    warnings.filterwarnings("ignore", "The `srun` command is available", PossibleUserWarning)
    # Scores are those of all processes before they are logged (metrics/meter.py).
    warnings.filterwarnings("ignore", r"It is recommended to use `self.log\('(val|test)/", PossibleUserWarning)
    given = {"callbacks": callbacks, "logger": loggers or False, "plugins": plugins, "default_root_dir": cfg.run_dir}
    needed = {name: value for name, (value, _) in NEEDED.items()}
    trainer: pl.Trainer = instantiate(cfg.trainer, **given, **needed)
    if watch is None:
        check_number(trainer)
    return Parts(datamodule, module, trainer)


def _compile(module: SegmentationModule) -> None:
    """Compile the network in place: its weights keep their names, and a copy or a checkpoint is not compiled."""
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++"))):
        msg = "compile=true needs a C++ compiler on a CPU, and there is neither g++ nor clang++; install one"
        raise UserError(msg)
    module.net.compile()


def close(trainer: pl.Trainer) -> None:
    """Finish every logger; without it the next job of a sweep would log into this one's run."""
    for logger in trainer.loggers:
        logger.finalize("success" if trainer.state.finished else "failed")
        if isinstance(logger, WandbRun):
            logger.finish()


def check_accelerator(trainer: DictConfig) -> None:
    """Refuse a GPU where there is none, before data is read.

    Raises:
        UserError: With what to use instead.
    """
    accelerator = trainer.get("accelerator", "auto")
    if accelerator in ("gpu", "cuda") and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        built = f"CUDA {torch.version.cuda}, whose driver may be missing" if torch.version.cuda else "CPUs alone"
        msg = (
            f"trainer.accelerator={accelerator}, but PyTorch finds no GPU (it is built for {built}); use trainer=cpu, "
            "or install a PyTorch for your GPU"
        )
        raise UserError(msg)


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


def device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        msg = f"device={name} cannot be used here; take device=cpu or device=auto"
        raise UserError(msg) from error
