"""A training's configuration as columns that runs are filtered and compared by: each fact once."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment.configuration.values import flat, portable, sources

# Where a run writes, how it was called, and how it is shown: the logger has that itself.
_LEFT_OUT = {"run_dir", "output_dir", "cache_dir", "resume", "allow_changed", "logger"}


def columns(cfg: DictConfig) -> dict[str, Any]:
    """Dotted keys and plain values, without keys that only repeat others (`data.seed: ${seed}`)."""
    written = flat(OmegaConf.to_container(cfg, resolve=False))
    return {
        key: value
        for key, value in flat(portable(cfg)).items()
        if key.split(".")[0] not in _LEFT_OUT and not sources(key, written)
    }
