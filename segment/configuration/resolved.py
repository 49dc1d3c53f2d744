"""A composed configuration with all references followed, as far as that is possible before a job runs."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segment.errors import UserError

RUN_DIR = "run_dir"  # what a configuration leaves open and the command itself sets
HYDRA = "${hydra:"  # what Hydra knows of a job once it runs


def ready(cfg: DictConfig) -> DictConfig:
    """A copy that can be resolved before a job runs: with a run folder, and a word for what only Hydra knows."""
    copy = cfg.copy()
    if OmegaConf.is_missing(copy, RUN_DIR):
        copy[RUN_DIR] = "."
    if not HydraConfig.initialized():
        plain = OmegaConf.to_container(copy, resolve=False)
        copy = OmegaConf.create(_without_hydra(plain))
    return copy


def _without_hydra(node: Any) -> Any:  # noqa: ANN401
    if isinstance(node, dict):
        return {key: _without_hydra(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_hydra(item) for item in node]
    return "hydra" if isinstance(node, str) and HYDRA in node else node


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration with all references followed."""
    try:
        result: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        what = str(error).splitlines()[0]
        msg = f"{error.full_key}: {what}; correct the reference" if error.full_key else what
        raise UserError(msg) from error
    return result
