"""A composed configuration against the types of its options."""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict

from segment.configuration.consistent import check_consistent
from segment.configuration.keys import HYDRAS_OWN, REFERENCE, written_keys
from segment.configuration.nearest import nearest_key
from segment.configuration.resolved import HYDRA, ready, resolved
from segment.configuration.schema import SCHEMAS
from segment.configuration.signature import signature
from segment.configuration.source import absence
from segment.errors import UserError
from segment.kind import Misfit, described, fitted

MISSING = "???"

Path = tuple[Any, ...]  # keys and indices, from the top on


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
    whole = ready(copy)
    if missing := sorted(OmegaConf.missing_keys(whole)):
        msg = f"no value for {', '.join(missing)}; give it, e.g. {missing[0]}=…"
        raise UserError(msg)
    check_consistent(resolved(whole))
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
    walk = _Walk(command, written, spellings or {})
    walk.keys(resolved(ready(cfg)), SCHEMAS[command], ())
    copy = cfg.copy()
    with open_dict(copy):
        for path, value in walk.changed.items():
            node: Any = copy
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
    return copy


class _Walk:
    """Goes through a configuration, key by key; `changed` are the values that become another one."""

    def __init__(self, command: str, written: dict[str, Any], spellings: Mapping[str, str]) -> None:
        self.command = command
        self.written = written
        self.spellings = spellings
        self.changed: dict[Path, Any] = {}

    def keys(self, node: Mapping[str, Any], hint: Any, path: Path) -> None:  # noqa: ANN401
        """Check the keys of a node of which a `TypedDict` says what they are."""
        hints = {key: _unwrapped(kind) for key, kind in get_type_hints(hint, include_extras=True).items()}
        self._names(node, hints, path)
        for key, value in node.items():
            self.value(value, hints[key], (*path, key))

    def value(self, value: Any, hint: Any, path: Path) -> None:  # noqa: ANN401
        """Check a value and all that lies within it."""
        source, raw = self._written_at(path)
        is_nested = isinstance(value, dict) or (isinstance(value, list) and not _is_plain(value))
        if value == MISSING or (isinstance(raw, str) and HYDRA in raw) or (source != path and is_nested):
            return  # a node that is repeated is checked in its own place
        spelling = self.spellings.get(_dotted(source))
        if isinstance(raw, str) and "${" in raw:
            spelling = None
            value = _read(value, hint)
        try:
            new = fitted(value, hint, spelling)
        except Misfit as error:
            msg = f"{_dotted(source)} must be {described(hint)}, got {spelling or _shown(value)}"
            raise UserError(msg) from error
        if new != value or type(new) is not type(value):
            self.changed[source] = new
        self._within(value, hint, path)

    def _within(self, value: Any, hint: Any, path: Path) -> None:  # noqa: ANN401
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._within(item, Any, (*path, index))
        if not isinstance(value, dict):
            return
        kind = next((member for member in _members(hint) if is_typeddict(member)), None)
        if kind is not None:
            self.keys(value, kind, path)
        elif "_target_" in value:
            self._arguments(value, path)
        else:
            items = next((get_args(member)[1] for member in _members(hint) if get_origin(member) is dict), Any)
            for key, item in value.items():
                self.value(item, items, (*path, key))

    def _arguments(self, node: Mapping[str, Any], path: Path) -> None:
        takes = signature(str(node["_target_"]))
        if takes is None and (reason := absence(str(node["_target_"]))):
            msg = f"{_dotted((*path, '_target_'))}={node['_target_']} cannot be made: {reason}"
            raise UserError(msg)
        if takes is not None and not takes.is_open:
            self._names(node, dict.fromkeys(HYDRAS_OWN) | dict(takes.parameters), path)
        for key, value in node.items():
            if key not in HYDRAS_OWN:
                self.value(value, takes.parameters.get(key, Any) if takes else Any, (*path, key))

    def _names(self, node: Mapping[str, Any], known: Mapping[str, Any], path: Path) -> None:
        """Refuse keys that a node cannot have."""
        unknown = [_dotted((*path, key)) for key in node if key not in known]
        if not unknown:
            return
        key = unknown[0]
        names = [name for name in known if name not in HYDRAS_OWN]
        near = nearest_key(key, [_dotted((*path, name)) for name in names])
        if "_target_" in node and not near and not any(f"{key}.".startswith(f"{given}.") for given in self.spellings):
            msg = f"{node['_target_']} takes no {key.rpartition('.')[2]}; remove it by ~{key}"
            raise UserError(msg)
        near = near or nearest_key(key, [other for other in written_keys(self.written) if other not in unknown])
        takes = f"{_dotted(path)} takes {', '.join(names)}" if path else f"`segment {self.command} --help` lists them"
        raise UserError(f"there is no option {key}; " + (f"did you mean {near}?" if near else takes))

    def _written_at(self, path: Path) -> tuple[Path, Any]:
        """Where a value is written, elsewhere if `path` only repeats that, and how: references are not followed."""
        node: Any = self.written
        for depth, key in enumerate(path):
            node = node[key]
            if isinstance(node, str) and (reference := REFERENCE.fullmatch(node)):
                name = reference[1].lstrip(".")
                dots = len(reference[1]) - len(name)  # of a relative reference: one is the same node, two the one above
                around = path[: depth + 1 - dots] if dots else ()
                return self._written_at((*around, *name.split("."), *path[depth + 1 :]))
        return path, node


def _read(value: Any, hint: Any) -> Any:  # noqa: ANN401
    """What a resolver made, such as an environment variable's text, as YAML would read it where text does not fit."""
    if not isinstance(value, str):
        return value
    try:
        fitted(value, hint)
    except Misfit:
        return yaml.safe_load(value)
    return value


def _members(hint: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _unwrapped(hint: Any) -> Any:  # noqa: ANN401
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _is_plain(value: Sequence[Any]) -> bool:
    return not any(isinstance(item, dict | list) for item in value)


def _dotted(path: Path) -> str:
    return re.sub(r"\.\[", "[", ".".join(f"[{key}]" if isinstance(key, int) else str(key) for key in path))


def _shown(value: Any) -> str:  # noqa: ANN401
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
