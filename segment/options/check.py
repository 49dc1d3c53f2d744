"""A composed configuration against the types of its options."""

import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from segment.errors import UserError
from segment.options.consistent import check_consistent
from segment.options.kind import Misfit, described, fitted
from segment.options.nearest import nearest_key
from segment.options.schema import SCHEMAS
from segment.options.signature import signature

MISSING = "???"
RUN_DIR = "run_dir"  # what a configuration leaves open and the command itself sets
REFERENCE = re.compile(r"\$\{([\w.]+)\}")  # a value that only repeats another one
HYDRAS_OWN = ("_target_", "_partial_", "_convert_", "_recursive_", "_args_")  # beside a constructor's parameters


def checked(command: str, cfg: DictConfig, spellings: Mapping[str, str] | None = None) -> DictConfig:
    """The configuration, complete and consistent, with every value as the type of its option.

    Args:
        command: Whose configuration it is.
        cfg: As Hydra composed it, without its own node. `run_dir` may be missing: the command sets it.
        spellings: How the command line wrote values, by key.

    Raises:
        UserError: As `typed`; when a value has to be given, or values contradict one another.
    """
    copy = typed(command, cfg, spellings)
    whole = _with_run_dir(copy)
    if missing := sorted(OmegaConf.missing_keys(whole)):
        msg = f"no value for {', '.join(missing)}; give it, e.g. {missing[0]}=…"
        raise UserError(msg)
    check_consistent(_resolved(whole))
    return copy


def typed(command: str, cfg: DictConfig, spellings: Mapping[str, str] | None = None) -> DictConfig:
    """The configuration with every value as the type of its option: `overwrite=no` is false.

    Arguments as of `checked`; values may be missing.

    Raises:
        UserError: When a key is unknown or was removed, or a value is of another type: with the key, the value and what
            it can be.
    """
    written: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    if gone := sorted(SCHEMAS[command].__required_keys__ - written.keys()):
        msg = f"{gone[0]} is missing, which `segment {command}` needs; do not remove it"
        raise UserError(msg)
    walk = _Walk(written, spellings or {})
    walk.keys(_resolved(_with_run_dir(cfg)), SCHEMAS[command], "")
    copy = cfg.copy()
    with open_dict(copy):
        for key, value in walk.changed.items():
            OmegaConf.update(copy, key, value)
    return copy


def _with_run_dir(cfg: DictConfig) -> DictConfig:
    copy = cfg.copy()
    if OmegaConf.is_missing(copy, RUN_DIR):
        copy[RUN_DIR] = "."
    return copy


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration with all references followed."""
    try:
        result: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        what = str(error).splitlines()[0]
        msg = f"{error.full_key}: {what}; correct the reference" if error.full_key else what
        raise UserError(msg) from error
    return result


def written_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted keys of a configuration, but for those that only repeat another one (`${...}`)."""
    for key, value in node.items() if isinstance(node, dict) else ():
        if key not in HYDRAS_OWN and not REFERENCE.fullmatch(str(value)):
            yield _joined(prefix, str(key))
            yield from written_keys(value, _joined(prefix, str(key)))


def possible_keys(node: Any, prefix: str = "") -> Iterator[str]:  # noqa: ANN401
    """Dotted keys that a configuration does not hold, but the constructors that it names take."""
    if not isinstance(node, dict):
        return
    takes = signature(str(node["_target_"])) if "_target_" in node else None
    yield from (_joined(prefix, key) for key in (takes.parameters if takes else ()) if key not in node)
    for key, value in node.items():
        yield from possible_keys(value, _joined(prefix, str(key)))


class _Walk:
    """Goes through a configuration, key by key; `changed` are the values that become another one."""

    def __init__(self, written: dict[str, Any], spellings: Mapping[str, str]) -> None:
        self.written = written
        self.spellings = spellings
        self.changed: dict[str, Any] = {}

    def keys(self, node: Mapping[str, Any], hint: Any, where: str) -> None:  # noqa: ANN401
        """Check the keys of a node of which a `TypedDict` says what they are."""
        hints = {key: _unwrapped(kind) for key, kind in get_type_hints(hint, include_extras=True).items()}
        self._names(node, hints, where)
        for key, value in node.items():
            self.value(value, hints[key], _joined(where, key))

    def value(self, value: Any, hint: Any, where: str) -> None:  # noqa: ANN401
        """Check a value and all that lies within it."""
        key, repeats = self._written_at(where)
        if value == MISSING or (repeats and isinstance(value, dict | list) and not _is_plain(value)):
            return  # the node that is repeated is checked in its own place
        spelling = self.spellings.get(key)
        try:
            new = fitted(value, hint, spelling)
        except Misfit as error:
            msg = f"{key} must be {described(hint)}, got {spelling or _shown(value)}"
            raise UserError(msg) from error
        if new != value or type(new) is not type(value):
            self.changed[key] = new
        self._within(value, hint, where)

    def _within(self, value: Any, hint: Any, where: str) -> None:  # noqa: ANN401
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._within(item, Any, f"{where}[{index}]")
        if not isinstance(value, dict):
            return
        typed = next((member for member in _members(hint) if is_typeddict(member)), None)
        if typed is not None:
            self.keys(value, typed, where)
        elif "_target_" in value:
            self._arguments(value, where)
        else:
            items = next((get_args(member)[1] for member in _members(hint) if get_origin(member) is dict), Any)
            for key, item in value.items():
                self.value(item, items, _joined(where, str(key)))

    def _arguments(self, node: Mapping[str, Any], where: str) -> None:
        takes = signature(str(node["_target_"]))
        if takes is not None and not takes.is_open:
            self._names(node, dict.fromkeys(HYDRAS_OWN) | dict(takes.parameters), where)
        for key, value in node.items():
            if key not in HYDRAS_OWN:
                self.value(value, takes.parameters.get(key, Any) if takes else Any, _joined(where, key))

    def _names(self, node: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
        """Refuse keys that a node cannot have."""
        unknown = [_joined(where, str(key)) for key in node if key not in known]
        if not unknown:
            return
        beside = [_joined(where, key) for key in known if key not in HYDRAS_OWN]
        elsewhere = [key for key in written_keys(self.written) if key not in unknown]
        near = nearest_key(unknown[0], beside) or nearest_key(unknown[0], elsewhere)
        takes = f"{where or 'the configuration'} takes {', '.join(key for key in known if key not in HYDRAS_OWN)}"
        raise UserError(f"there is no option {unknown[0]}; " + (f"did you mean {near}?" if near else takes))

    def _written_at(self, where: str) -> tuple[str, bool]:
        """The key where a value is written, and whether that is another one, which `where` only repeats."""
        node, names = self.written, re.findall(r"[^.\[\]]+", where)
        for depth, name in enumerate(names):
            node = node[int(name)] if isinstance(node, list) else node[name]
            if isinstance(node, str) and (reference := REFERENCE.fullmatch(node)):
                key = reference[1].lstrip(".")
                dots = len(reference[1]) - len(key)  # of a relative reference: one is the same node, two the one above
                around = names[: depth + 1 - dots] if dots else []
                return self._written_at(".".join([*around, key, *names[depth + 1 :]]))[0], True
        return where, False


def _members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _unwrapped(hint: Any) -> Any:  # noqa: ANN401
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _is_plain(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(value: Any) -> str:  # noqa: ANN401
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
