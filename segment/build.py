"""Configuration → objects, and checkpoint → network. With the doors, the only code that sees Hydra."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import WandbLogger

from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.inference.segmenter import Segmenter
from segment.model.checkpoint import AtomicCheckpointIO
from segment.model.module import SegmentationModule

# What a checkpoint needs to be used without the run that made it.
CHECKPOINT_KEYS = ("organs", "preprocess", "model")
# Modules whose classes a checkpoint's configuration may name. Whole packages would not do: torch, torchio and segment
# itself reach functions that run commands or download.
TRUSTED = (
    "segment.data.normalize",
    "segment.data.resample",
    "segment.inference",
    "segment.model",
    "monai.inferers",
    "monai.losses",
    "monai.networks",
    "torch.nn",
    "torch.optim",
    "torchio.transforms",
)


@dataclass(frozen=True)
class Parts:
    """What one training run is made of."""

    datamodule: CTDataModule
    module: SegmentationModule
    trainer: pl.Trainer


def parts(cfg: DictConfig) -> Parts:
    """Instantiate data, module and trainer of a composed training configuration."""
    loggers = [instantiate(node) for node in (cfg.get("logger") or {}).values() if node]
    callbacks = [instantiate(node) for node in (cfg.get("callbacks") or {}).values() if node]
    datamodule: CTDataModule = instantiate(cfg.data, _convert_="all")
    module: SegmentationModule = instantiate(cfg.model, _convert_="all")
    resolved = plain(cfg)
    module.checkpoint_facts = {"config": {key: resolved[key] for key in CHECKPOINT_KEYS}}
    check_precision(cfg.trainer)
    trainer: pl.Trainer = instantiate(
        cfg.trainer, callbacks=callbacks, logger=loggers or False, plugins=[AtomicCheckpointIO()]
    )
    return Parts(datamodule, module, trainer)


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A configuration as resolved plain Python."""
    result: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return result


def without_paths(flat: dict[str, Any]) -> dict[str, Any]:
    """Configuration for loggers: of an absolute path only the last name, since paths tell about people."""
    return {
        key: Path(value).name if isinstance(value, str) and value.startswith(("/", "~")) else value
        for key, value in flat.items()
    }


def steps_of(checkpoint: Path) -> int:
    """Optimizer steps that a checkpoint has behind it."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["global_step"])


def close(trainer: pl.Trainer) -> None:
    """Finish every logger; without it the next job of a sweep would log into this one's run."""
    for logger in trainer.loggers:
        logger.finalize("success" if trainer.state.finished else "failed")
        if isinstance(logger, WandbLogger):
            wandb.finish()


def check_precision(trainer: DictConfig) -> None:
    """Refuse half precision where the CPU would emulate it.

    Lightning turns 16-mixed on a CPU into bfloat16 without a word, and without AVX512-BF16 or AMX that is tens of
    times slower than float32.

    Raises:
        UserError: With the precision to use.
    """
    precision = str(trainer.get("precision", "32-true"))
    on_cpu = trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not torch.cuda.is_available())
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
        facts: What the checkpoint says of itself: `config`, and from training `split` and `voxel_hashes`.
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
    the modules in `TRUSTED`.

    Args:
        path: A checkpoint file written by `segment train`.
        trust: More modules to allow, such as the one that holds your own network.

    Raises:
        UserError: When the file is missing, is not such a checkpoint, or names something else.
    """
    if not Path(path).is_file():
        msg = f"no such checkpoint: {path}; a run's best one is <run folder>/checkpoints/best.ckpt"
        raise UserError(msg)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        facts = dict(checkpoint["segment"])
        config = dict(facts["config"])
        organs = list(config["organs"])
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, ValueError, _unpickling_error()) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"{path} is not a checkpoint of `segment train` or is damaged ({reason[:120]}); use another file"
        raise UserError(msg) from error
    for target in _targets(config):
        _check_target(target, (*TRUSTED, *trust))
    module: SegmentationModule = instantiate(OmegaConf.create(config)["model"], _convert_="all")
    module.load_state_dict(checkpoint["state_dict"])
    return Trained(organs, module.eval(), facts)


def device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        msg = f"device={name} cannot be used here; take device=cpu or device=auto"
        raise UserError(msg) from error


def _unpickling_error() -> type[Exception]:
    from pickle import UnpicklingError  # torch.load raises it; nothing is unpickled here

    return UnpicklingError


def _targets(node: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _targets(item)


def _check_target(target: str, trusted: Sequence[str]) -> None:
    """Refuse a target unless it is a class that is defined in a trusted module.

    The name alone does not tell: `torch.nn.functional.os.system` starts well, too.
    """
    refusal = f"the checkpoint wants to build {target!r}, which is not allowed; trust its module with trust=[<module>]"
    package, _, _ = target.partition(".")
    if package not in {name.partition(".")[0] for name in trusted}:
        raise UserError(refusal)
    found: Any = importlib.import_module(package)
    path = package
    for name in target.split(".")[1:]:
        path = f"{path}.{name}"
        try:
            found = getattr(found, name) if hasattr(found, name) else importlib.import_module(path)
        except ImportError as error:
            raise UserError(refusal) from error
    module = str(getattr(found, "__module__", ""))
    if not isinstance(found, type) or not any(module == name or module.startswith(name + ".") for name in trusted):
        raise UserError(refusal)
