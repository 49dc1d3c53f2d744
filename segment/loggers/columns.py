"""The configuration of a training run as columns, by which loggers filter and compare runs."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from segment.configuration.roles import role
from segment.configuration.values import flatten, portable, referenced_keys


def columns(cfg: DictConfig) -> dict[str, Any]:
    """Dotted keys and plain values. A key that only repeats another, e.g. `data.seed: ${seed}`, is left out."""
    written = flatten(OmegaConf.to_container(cfg, resolve=False))
    return {
        key: value
        for key, value in flatten(portable(cfg)).items()
        if role(key).is_column and not referenced_keys(key, written)
    }
