"""What each key of a configuration means for resuming, repeating, comparing, searching and checkpoints.

A key that is not listed here is part of the recipe: a resumed run must have the same value, `from_run` takes it from
the earlier run, repeats of the recipe share it, Weights & Biases shows it as a column, and a search may set it.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Role(NamedTuple):
    """What one key means.

    Attributes:
        resume: Whether a resumed run needs the same value ("same"), may have any value ("any"), or takes it from the
            checkpoint, where it cannot change ("checkpoint").
        from_run: Whether `from_run` takes the value from the earlier run ("earlier") or from this call ("call").
        recipe: Whether the value is part of the recipe ("part"), differs between the folds of a cross-validation
            ("fold"), or may differ between repeats ("free").
        is_column: Whether Weights & Biases shows it as a column.
        set_by_search: If a search sets the key for every trial, where the user sets it instead.
        is_set: Whether its value is a list in which order and repeated values have no effect.
    """

    resume: Literal["same", "any", "checkpoint"] = "same"
    from_run: Literal["earlier", "call"] = "earlier"
    recipe: Literal["part", "fold", "free"] = "part"
    is_column: bool = True
    set_by_search: str = ""
    is_set: bool = False


_CALL = Role(resume="any", from_run="call", recipe="free")  # describes this call of the command
_HIDDEN_CALL = _CALL._replace(is_column=False)
_IN_CHECKPOINT = Role(resume="checkpoint")
_OF_FOLD = Role(recipe="fold")

# By dotted key; a role also holds for all keys below.
_ROLES: Mapping[str, Role] = {
    "run_dir": _HIDDEN_CALL,
    "resume": _HIDDEN_CALL._replace(set_by_search="resume= of the sweep"),
    "allow_changed": _HIDDEN_CALL,
    "from_run": _CALL,
    "preflight": _CALL,
    "label_check": _CALL,
    "anatomy": Role(from_run="call"),
    "output_dir": Role("same", "call", "free", is_column=False, set_by_search="output_dir= of the sweep"),
    "cache_dir": Role("same", "call", "free", is_column=False),
    "task": Role(recipe="free"),
    "test": Role(recipe="free"),
    "page": _HIDDEN_CALL,
    "logger": Role(recipe="free", is_column=False),
    "logger.wandb.group": Role(
        recipe="free",
        is_column=False,
        set_by_search="hydra.run.dir= of the sweep, whose last name becomes the last name of the group",
    ),
    "hydra": Role(recipe="free"),
    "hydra.run.dir": Role(recipe="free", set_by_search="hydra.run.dir= of the sweep"),
    "hydra.searchpath": Role(recipe="free", set_by_search="--config-dir of the sweep"),
    "seed": Role(recipe="free", set_by_search="seed= of the sweep"),
    "optimizer": _IN_CHECKPOINT,
    "model.optimizer": _IN_CHECKPOINT,
    "scheduler": _IN_CHECKPOINT,
    "model.scheduler": _IN_CHECKPOINT,
    "callbacks.average": _IN_CHECKPOINT,
    "tta": Role(is_set=True),
    # In evaluations, folds have different checkpoints and different cases.
    "ckpt": _OF_FOLD,
    "ckpt_sha256": _OF_FOLD,
    "data_sha256": _OF_FOLD,
}
# A key with one of these as its last part, for example `data.num_workers`, is not part of the recipe.
_FREE_NAMES = {"seed", "num_workers", "cache_dir"}

IN_CHECKPOINT = tuple(key for key, role in _ROLES.items() if role.resume == "checkpoint")
# Nodes that a checkpoint must hold to be usable without its run, and those that the members of an ensemble share.
CHECKPOINT_KEYS = ("organs", "preprocess", "model")
ENSEMBLE_KEYS = ("organs", "preprocess", "postprocess", "tolerance_mm")


def role(key: str) -> Role:
    """Role of a dotted key: its own, or that of the nearest key above it."""
    found = _inherited(key)
    parts = key.split(".")
    if parts[-1] in _FREE_NAMES:
        return found._replace(recipe="free")
    if found.recipe == "part" and ("split" in parts or parts[-1] == "fold"):
        return found._replace(recipe="fold")
    return found


def mean_the_same(key: str, one: object, other: object) -> bool:
    """Whether two values of a dotted key are equal; tta=[moved,scaled] and tta=[scaled,moved] are."""
    if role(key).is_set and isinstance(one, list) and isinstance(other, list):
        return set(map(str, one)) == set(map(str, other))
    return one == other


def _inherited(key: str) -> Role:
    name = key
    while name:
        if name in _ROLES:
            return _ROLES[name]
        name = name.rpartition(".")[0]
    return Role()


def is_free(key: str) -> bool:
    """Whether repeats of one recipe may differ in this dotted key."""
    return role(key).recipe == "free"
