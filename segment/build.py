"""Build data, module and trainer from a configuration."""

import functools
import shutil
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from omegaconf import DictConfig, OmegaConf

from segment.callbacks.checkpoint import AtomicCheckpointIO
from segment.callbacks.reseed import Reseed
from segment.configuration.instantiate import instantiate
from segment.configuration.roles import CHECKPOINT_KEYS
from segment.configuration.values import portable
from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.loggers.metrics_csv import LogBeforeSaving, MetricsCSV
from segment.memory.network import check_weights
from segment.model.module import SegmentationModule
from segment.run.processes import check_world_size, cluster_environment
from segment.run.recipe import recipe
from segment.run.trainer import FIXED, check_fixed, check_length


@dataclass(frozen=True)
class Parts:
    """The objects of one training run."""

    datamodule: CTDataModule
    module: SegmentationModule
    trainer: pl.Trainer


def parts(cfg: DictConfig, watch: pl.Callback | None = None, data: CTDataModule | None = None) -> Parts:
    """Build data, module and trainer from a composed training configuration.

    Args:
        cfg: The configuration.
        watch: A callback that observes a trial. With it, the trainer uses one process, even if a cluster or `torchrun`
            has started several.
        data: The data; None builds them from the configuration.

    Raises:
        UserError: When a value has the wrong type, there is no GPU, or the machine does not support the precision.
        HydraException: When a constructor refuses its arguments.
    """
    check_accelerator(cfg.trainer)
    check_precision(cfg.trainer)
    check_length(cfg.trainer)
    check_fixed(cfg.trainer)
    loggers = [instantiate(node) for node in (cfg.get("logger") or {}).values() if node]
    callbacks: list[pl.Callback] = [Reseed(cfg.seed), LogBeforeSaving()]  # exact resumes need both
    datamodule: CTDataModule = instantiate(cfg.data) if data is None else data
    callbacks += [_callback(node, datamodule) for node in (cfg.get("callbacks") or {}).values() if node]
    module = _module(cfg)
    plugins: list[Any] = [AtomicCheckpointIO()]
    if watch is None:
        plugins.append(cluster_environment())
    else:
        plugins.append(LightningEnvironment())
        callbacks.append(watch)
    given = {"callbacks": callbacks, "logger": loggers or False, "plugins": plugins, "default_root_dir": cfg.run_dir}
    fixed = {name: value for name, (value, _) in FIXED.items()}
    trainer: pl.Trainer = instantiate(cfg.trainer, **given, **fixed)
    if watch is None:
        check_world_size(trainer)
    return Parts(datamodule, module, trainer)


def _callback(node: DictConfig, datamodule: CTDataModule) -> pl.Callback:
    """Build a callback. One that is `_partial_` needs the split, which is not known before the cases are listed."""
    built = instantiate(node)
    callback: pl.Callback = built(split=lambda: datamodule.split) if isinstance(built, functools.partial) else built
    return callback


def _module(cfg: DictConfig) -> SegmentationModule:
    """Build the module, with the metadata that its checkpoints will hold."""
    if cfg.model.net.get("_partial_"):
        check_weights(instantiate(cfg.model.net), 1 + len(cfg.organs))
    module: SegmentationModule = instantiate(cfg.model)
    resolved: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    module.checkpoint_metadata = {
        "config": {key: resolved[key] for key in CHECKPOINT_KEYS},
        "trained": recipe(portable(cfg)),
    }
    if cfg.compile:
        _compile(module)
    return module


def _compile(module: SegmentationModule) -> None:
    """Compile the network in place. Weights keep their names; copies and checkpoints are not compiled."""
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++"))):
        msg = "compile=true needs a C++ compiler on a CPU, and there is neither g++ nor clang++; install one"
        raise UserError(msg)
    module.net.compile()


def close(trainer: pl.Trainer) -> None:
    """Finish every logger. Otherwise the next job of a sweep would log into this run."""
    for logger in trainer.loggers:
        logger.finalize("success" if trainer.state.finished else "failed")
        if isinstance(logger, MetricsCSV):
            logger.finish()


def check_accelerator(trainer: DictConfig) -> None:
    """Refuse to train on a GPU if there is none, before data is read.

    Raises:
        UserError: With the option to use instead.
    """
    accelerator = trainer.get("accelerator", "auto")
    if accelerator in ("gpu", "cuda") and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        built = f"CUDA {torch.version.cuda}; its driver may be missing" if torch.version.cuda else "CPUs only"
        msg = (
            f"trainer.accelerator={accelerator}, but PyTorch finds no GPU (it is built for {built}); use trainer=cpu, "
            "or install a PyTorch for your GPU"
        )
        raise UserError(msg)


def check_precision(trainer: DictConfig) -> None:
    """Refuse half precision on a CPU that would emulate it.

    On a CPU, Lightning silently replaces 16-mixed by bfloat16. Without AVX512-BF16 or AMX, bfloat16 is tens of times
    slower than float32.

    Raises:
        UserError: With the precision to use.
    """
    precision = str(trainer.get("precision", "32-true"))
    accelerator = trainer.get("accelerator", "auto")
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    is_half = precision.startswith(("16", "bf16"))
    is_fast = precision.startswith("bf16") and _has_bfloat16_instructions()
    if on_cpu and is_half and not is_fast:
        msg = f"trainer.precision={precision} is far slower than float32 on this CPU; use trainer.precision=32-true"
        raise UserError(msg)


def _has_bfloat16_instructions() -> bool:
    """Whether this CPU has AVX512-BF16; false if this version of PyTorch cannot determine it."""
    if not hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.13 has it, 2.6 does not
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))  # other architectures, e.g. ARM, do not list it
