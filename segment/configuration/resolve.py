"""Resolve the references (`${...}`) of a composed configuration before a job runs."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from segment.errors import UserError

RUN_DIR = "run_dir"  # missing in conf/: the command sets it
HYDRA = "${hydra:"  # a reference that Hydra can resolve only while a job runs


def resolvable(cfg: DictConfig) -> DictConfig:
    """Return a copy that can be resolved before a job runs.

    A missing run folder becomes `.`, and text that refers to Hydra's job becomes the word `hydra`.
    """
    copy = cfg.copy()
    OmegaConf.set_readonly(copy, False)
    if OmegaConf.is_missing(copy, RUN_DIR):
        copy[RUN_DIR] = "."
    if not HydraConfig.initialized():
        plain = OmegaConf.to_container(copy, resolve=False)
        copy = OmegaConf.create(_without_hydra(plain))
    return copy


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """Return the configuration as plain values, with every reference replaced by its value.

    Raises:
        UserError: When a reference names a key that does not exist.
    """
    try:
        result: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        what = str(error).splitlines()[0]
        if not error.full_key:
            raise UserError(what) from error
        msg = f"{error.full_key}: {what}; correct the reference"
        raise UserError(msg) from error
    return result


def _without_hydra(node: Any) -> Any:  # noqa: ANN401
    if isinstance(node, dict):
        return {key: _without_hydra(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_hydra(item) for item in node]
    return "hydra" if isinstance(node, str) and HYDRA in node else node
