"""Convert the values of a composed configuration to the types of their options, and refuse what does not fit."""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from segment.coercion import Mismatch, coerce, describe
from segment.configuration.keys import HYDRA_KEYS, REFERENCE, written_keys
from segment.configuration.nearest import nearest_key
from segment.configuration.resolve import HYDRA, resolvable, resolve
from segment.configuration.schema import SCHEMAS
from segment.configuration.signature import signature
from segment.configuration.source import why_missing
from segment.errors import UserError

MISSING = "???"

Path = tuple[Any, ...]  # keys and list indices, starting at the root


def convert_types(command: str, cfg: DictConfig, spellings: Mapping[str, str] | None = None) -> DictConfig:
    """Convert every value of a configuration to the type of its option; for example, `overwrite=no` becomes false.

    Args:
        command: The command that the configuration belongs to.
        cfg: The configuration that Hydra composed, without the `hydra` node. Values may be missing.
        spellings: The values as the command line wrote them, by key.

    Raises:
        UserError: When a key is unknown or was removed, or when a value has the wrong type. The message names the key,
            the value and what the option accepts.
    """
    written: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    removed = sorted(SCHEMAS[command].__required_keys__ - written.keys())
    if removed:
        msg = f"{removed[0]} is missing, but `segment {command}` needs it; do not remove it"
        raise UserError(msg)
    checker = _Checker(command, written, spellings or {})
    checker.check_keys(resolve(resolvable(cfg)), SCHEMAS[command], ())
    copy = cfg.copy()
    with read_write(copy), open_dict(copy):
        for path, value in checker.converted.items():
            node: Any = copy
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
    return copy


class _Checker:
    """Checks a configuration key by key.

    Attributes:
        converted: The values that change, by their path.
    """

    def __init__(self, command: str, written: dict[str, Any], spellings: Mapping[str, str]) -> None:
        self.command = command
        self.written = written
        self.spellings = spellings
        self.converted: dict[Path, Any] = {}

    def check_keys(self, node: Mapping[str, Any], schema: Any, path: Path) -> None:  # noqa: ANN401
        """Check a node whose keys a `TypedDict` lists."""
        hints = {}
        for key, hint in get_type_hints(schema, include_extras=True).items():
            hints[key] = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        self._refuse_unknown_keys(node, hints, path)
        for key, value in node.items():
            self.check_value(value, hints[key], (*path, key))

    def check_value(self, value: Any, hint: Any, path: Path) -> None:  # noqa: ANN401
        """Check a value and everything in it."""
        source, raw = self._origin(path)
        if value == MISSING or (isinstance(raw, str) and HYDRA in raw):
            return
        is_nested = isinstance(value, dict) or (isinstance(value, list) and not _is_flat(value))
        if is_nested and source != path:
            return  # a reference to another node, which is checked where it is written
        spelling = self.spellings.get(_dotted(source))
        if isinstance(raw, str) and "${" in raw:
            spelling = None
            value = _parse_resolved(value, hint)
        try:
            new = coerce(value, hint, spelling)
        except Mismatch as error:
            msg = f"{_dotted(source)} must be {describe(hint)}, got {spelling or _as_yaml(value)}"
            raise UserError(msg) from error
        if new != value or type(new) is not type(value):
            self.converted[source] = new
        self._check_children(value, hint, path)

    def _check_children(self, value: Any, hint: Any, path: Path) -> None:  # noqa: ANN401
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._check_children(item, Any, (*path, index))
        if not isinstance(value, dict):
            return
        members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
        schema = next((member for member in members if is_typeddict(member)), None)
        if schema is not None:
            self.check_keys(value, schema, path)
        elif "_target_" in value:
            self._check_target(value, path)
        else:
            item_hint = next((get_args(member)[1] for member in members if get_origin(member) is dict), Any)
            for key, item in value.items():
                self.check_value(item, item_hint, (*path, key))

    def _check_target(self, node: Mapping[str, Any], path: Path) -> None:
        """Check a node that builds an object against the parameters of its class or function."""
        target = str(node["_target_"])
        takes = signature(target)
        hints: Mapping[str, Any] = {}
        if takes is not None:
            hints = takes.parameters
            if not takes.is_open:
                self._refuse_unknown_keys(node, dict.fromkeys(HYDRA_KEYS) | dict(hints), path)
        else:
            reason = why_missing(target)
            if reason:
                msg = f"{_dotted((*path, '_target_'))}={node['_target_']} cannot be created: {reason}"
                raise UserError(msg)
        for key, value in node.items():
            if key not in HYDRA_KEYS:
                self.check_value(value, hints.get(key, Any), (*path, key))

    def _refuse_unknown_keys(self, node: Mapping[str, Any], known: Mapping[str, Any], path: Path) -> None:
        unknown = [_dotted((*path, key)) for key in node if key not in known]
        if not unknown:
            return
        key = unknown[0]
        names = [name for name in known if name not in HYDRA_KEYS]
        near = nearest_key(key, [_dotted((*path, name)) for name in names])
        is_given = any(f"{key}.".startswith(f"{given}.") for given in self.spellings)
        if "_target_" in node and not near and not is_given:
            msg = f"{node['_target_']} does not take {key.rpartition('.')[2]}; remove it with ~{key}"
            raise UserError(msg)
        if not near:
            near = nearest_key(key, [other for other in written_keys(self.written) if other not in unknown])
        if near:
            hint = f"did you mean {near}?"
        elif path:
            hint = f"{_dotted(path)} takes {', '.join(names)}"
        else:
            hint = f"`segment {self.command} --help` lists them"
        msg = f"there is no option {key}; {hint}"
        raise UserError(msg)

    def _origin(self, path: Path) -> tuple[Path, Any]:
        """Return where a value is written, and the text there.

        That is `path` itself unless the value there is a reference: with `model.organs: ${organs}`, the origin of
        `model.organs` is `organs`.
        """
        node: Any = self.written
        for depth, key in enumerate(path):
            node = node[key]
            reference = REFERENCE.fullmatch(node) if isinstance(node, str) else None
            if reference:
                name = reference[1].lstrip(".")
                dots = len(reference[1]) - len(name)  # `${.a}` is a key of the same node, `${..a}` of its parent
                parent = path[: depth + 1 - dots] if dots else ()
                return self._origin((*parent, *name.split("."), *path[depth + 1 :]))
        return path, node


def _parse_resolved(value: Any, hint: Any) -> Any:  # noqa: ANN401
    """Parse text that a resolver returned as YAML, unless the option takes text.

    For example, the value of `${oc.env:NAME}` is always text, and an option that takes a number needs a number.
    """
    if not isinstance(value, str):
        return value
    try:
        coerce(value, hint)
    except Mismatch:
        return yaml.safe_load(value)
    return value


def _is_flat(value: Sequence[Any]) -> bool:
    return not any(isinstance(item, dict | list) for item in value)


def _dotted(path: Path) -> str:
    """Return a path as text; for example, `("pairs", 0, "image")` is `pairs[0].image`."""
    parts = [f"[{key}]" if isinstance(key, int) else str(key) for key in path]
    return re.sub(r"\.\[", "[", ".".join(parts))


def _as_yaml(value: Any) -> str:  # noqa: ANN401
    """Return a value as YAML writes it, to quote it in a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
