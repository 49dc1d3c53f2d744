"""Annotations in source code as types."""

import ast
from typing import Any, Literal, Never, Optional, Union

from segment import bounds

# Annotations that options can be checked against. A name that is not here may stand for anything.
NAMES: dict[str, Any] = {
    **{"bool": bool, "int": int, "float": float, "str": str, "Path": str, "PathLike": str, "_PATH": str},
    **{"Sequence": list, "List": list, "list": list, "Iterable": list, "Collection": list},
    **{"Mapping": dict, "Dict": dict, "dict": dict},
    **bounds.NAMES,
    "Tensor": Never,  # which no option is
}


def hint_of(node: ast.expr | None) -> Any:  # noqa: ANN401
    """The type that an annotation's source means."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as text):
            return hint_of(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return NAMES.get(name, Any)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[hint_of(left), hint_of(right)]  # noqa: UP007  # None | None is no type
        case ast.Subscript(value=outer, slice=inner):
            return _subscript(ast.unparse(outer).rpartition(".")[2], inner)
    return Any


def _subscript(outer: str, inner: ast.expr) -> Any:  # noqa: ANN401
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return Literal[tuple(ast.literal_eval(part) for part in parts)]
    hints = [hint_of(part) for part in parts]
    if outer == "Optional":
        return Optional[hints[0]]  # noqa: UP045
    if outer == "Union":
        return Union[tuple(hints)]  # noqa: UP007
    if NAMES.get(outer) is list:
        return list[hints[0]]  # type: ignore[valid-type]
    if outer.lower() == "tuple":
        several = [hint for part, hint in zip(parts, hints, strict=True) if ast.unparse(part) != "..."]
        return tuple[tuple(several)] if len(several) == len(parts) else list[several[0]]  # type: ignore[valid-type,misc]
    if NAMES.get(outer) is dict:
        return dict[str, hints[-1]]  # type: ignore[valid-type]
    return Any
