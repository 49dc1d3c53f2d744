"""Convert the source of a type annotation to a type."""

import ast
from typing import Any, Literal, Never, Optional, Union

from segment import bounds

# Annotations that options are checked against. A name that is missing here accepts any value.
TYPES: dict[str, Any] = {
    **{"bool": bool, "int": int, "float": float, "str": str, "Path": str, "PathLike": str, "_PATH": str},
    **{"Sequence": list, "List": list, "list": list, "Iterable": list, "Collection": list},
    **{"Mapping": dict, "Dict": dict, "dict": dict},
    **bounds.NAMES,
    "Tensor": Never,  # no option can be a tensor
}


def annotated_type(node: ast.expr | None) -> Any:  # noqa: ANN401
    """Return the type that an annotation stands for, for example `int | None` for the source `Optional[int]`.

    Returns:
        A type that `segment.coercion.coerce` accepts; `Any` when the annotation is missing or uses an unknown name.
    """
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as text):
            return annotated_type(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return TYPES.get(name, Any)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[annotated_type(left), annotated_type(right)]  # noqa: UP007  # `None | None` raises
        case ast.Subscript(value=outer, slice=inner):
            return _generic_type(ast.unparse(outer).rpartition(".")[2], inner)
    return Any


def _generic_type(outer: str, inner: ast.expr) -> Any:  # noqa: ANN401
    """Return the type of `outer[inner]`."""
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return Literal[tuple(ast.literal_eval(part) for part in parts)]
    hints = [annotated_type(part) for part in parts]
    if outer == "Optional":
        return Optional[hints[0]]  # noqa: UP045
    if outer == "Union":
        return Union[tuple(hints)]  # noqa: UP007
    if TYPES.get(outer) is list:
        return list[hints[0]]  # type: ignore[valid-type]
    if outer.lower() == "tuple":
        if any(ast.unparse(part) == "..." for part in parts):
            return list[hints[0]]  # type: ignore[valid-type]
        return tuple[tuple(hints)]  # type: ignore[misc]
    if TYPES.get(outer) is dict:
        return dict[str, hints[-1]]  # type: ignore[valid-type]
    return Any
