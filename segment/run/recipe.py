"""Whether runs are of one recipe: what of a configuration makes it, and what only tells where a run writes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from segment.configuration.values import flat
from segment.errors import UserError

# Keys that tell where a run writes or how it is called, not what it computes.
_FREE = {"run_dir", "resume", "allow_changed", "output_dir", "cache_dir", "task", "test", "from_run"} | {
    "preflight",
    "label_check",
}
_FREE_GROUPS = {"logger", "hydra"}
_FREE_NAMES = {"seed", "num_workers", "cache_dir"}
# Beside the split: the network of each fold, and what it tested, where `segment evaluate` has scored them.
_OF_FOLD = {"ckpt", "ckpt_sha256", "data_sha256"}


def is_free(key: str) -> bool:
    """Whether repeats of one recipe may differ in this dotted key."""
    parts = key.split(".")
    return parts[0] in _FREE | _FREE_GROUPS or parts[-1] in _FREE_NAMES


def recipe(config: Mapping[str, Any]) -> dict[str, Any]:
    """The seed, and of a training's configuration the dotted keys in which repeats of it agree."""
    return {key: value for key, value in dotted(config).items() if key == "seed" or not is_free(key)}


def shared_config(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the folds of one cross-validation, or its repeats, have in common.

    Args:
        configs: Dotted keys and their values by the run's name; at least one run.

    Returns:
        The keys that are equal in all.

    Raises:
        UserError: When the runs differ in more than the split, the fold and what repeats may differ in.
    """
    (first, one), *others = configs.items()
    differing: set[str] = set()
    for name, other in others:
        changed = {key for key in one.keys() | other.keys() if json.dumps(one.get(key)) != json.dumps(other.get(key))}
        if telling := sorted((key.count("."), key) for key in changed if not (is_free(key) or _is_of_fold(key))):
            key = telling[0][1]
            msg = (
                f"{first} and {name} are of different recipes, not folds of one: {key} is {one.get(key)} in the first "
                f"and {other.get(key)} in the other; merge the folds of each recipe by themselves: 'runs=[a,b]'"
            )
            raise UserError(msg)
        differing |= changed
    return {key: value for key, value in one.items() if key not in differing and key.split(".")[-1] != "fold"}


def read_config(run: Path) -> dict[str, Any]:
    """Dotted keys of a run's config.yaml, also within lists: `augment.transforms[1].p`; empty when there is none.

    Raises:
        UserError: When it cannot be read.
    """
    path = run / "config.yaml"
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        msg = f"cannot read {path}: {' '.join(str(error).split())}; name a whole run folder"
        raise UserError(msg) from error
    return dotted(content)


def dotted(content: Any) -> dict[str, Any]:  # noqa: ANN401  # whatever a file holds
    """Nested dictionaries and lists of them as one level of dotted keys."""
    return {name: item for key, value in flat(content).items() for name, item in _unrolled(key, value)}


def _unrolled(key: str, value: Any) -> Sequence[tuple[str, Any]]:  # noqa: ANN401
    if not isinstance(value, list) or not any(isinstance(item, dict) for item in value):
        return [(key, value)]
    items = [pair for index, item in enumerate(value) for pair in flat(item, f"{key}[{index}]").items()]
    return [pair for name, item in items for pair in _unrolled(name, item)]


def _is_of_fold(key: str) -> bool:
    parts = key.split(".")
    return parts[0] in _OF_FOLD or "split" in parts or parts[-1] == "fold"
