"""Build the objects that a configuration names."""

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


def instantiate(node: DictConfig | None, **late: Any) -> Any:  # noqa: ANN401
    """Build the object of a node with a `_target_`; lists and dictionaries of its arguments are plain Python.

    Hydra would resolve references in place, also in other nodes, which a read-only configuration refuses. It is
    therefore given the resolved values.

    Args:
        node: A node of a composed configuration; None gives None.
        late: Arguments that are not in the configuration.
    """
    if node is None:
        return None
    return hydra.utils.instantiate(plain_values(node), _convert_="all", **late)


def plain_values(node: DictConfig) -> dict[str, Any]:
    """The values of a node with references resolved."""
    values: dict[str, Any] = OmegaConf.to_container(node, resolve=True)  # type: ignore[assignment]
    return values
