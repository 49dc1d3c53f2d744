"""The parameters of what `_target_` names, read from its source: importing it could take seconds."""

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Literal, Never, Optional, Union

# Annotations that options can be checked against. A name that is not here may stand for anything.
NAMES: dict[str, Any] = {
    **{"bool": bool, "int": int, "float": float, "str": str, "Path": str, "PathLike": str, "_PATH": str},
    **{"Sequence": list, "List": list, "list": list, "Iterable": list, "Collection": list},
    **{"Mapping": dict, "Dict": dict, "dict": dict},
    "Tensor": Never,  # which no option is
}


@dataclass(frozen=True)
class Signature:
    """What a class or function takes.

    Attributes:
        parameters: Type hints by name; `Any` for what options cannot be checked against.
        is_open: Whether it takes other names, too (`**kwargs`).
    """

    parameters: Mapping[str, Any]
    is_open: bool


@functools.cache
def signature(target: str) -> Signature | None:
    """Signature of a dotted name such as `torch.optim.AdamW`; None if its source does not show it."""
    path, module, names = _located(target)
    if path is None or len(names) != 1:
        return None
    found = _defined(_Module(module, path), names[0])
    if found is None:
        return None
    home, node = found
    return _of_class(home, node) if isinstance(node, ast.ClassDef) else _of_function(node, bound=False)


@dataclass(frozen=True)
class _Module:
    name: str
    path: Path

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imported_from(self, node: ast.ImportFrom) -> str:
        """Absolute name of the module that an import statement names."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


Definition = ast.ClassDef | ast.FunctionDef


@functools.cache
def _statements(path: Path) -> Sequence[ast.stmt]:
    return ast.parse(path.read_text(encoding="utf-8")).body


def _located(dotted: str) -> tuple[Path | None, str, list[str]]:
    """File of the longest module in a dotted name, the module's name, and the names that are left."""
    first, *rest = dotted.split(".")
    spec = PathFinder.find_spec(first)
    if spec is None or not (spec.submodule_search_locations or spec.origin):
        return None, "", []
    if not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        return (path if path.suffix == ".py" else None), first, rest
    folder, module = Path(next(iter(spec.submodule_search_locations))), first
    while rest:
        if (folder / rest[0]).is_dir():
            folder, module = folder / rest[0], f"{module}.{rest[0]}"
            rest = rest[1:]
        elif (path := folder / f"{rest[0]}.py").is_file():
            return path, f"{module}.{rest[0]}", rest[1:]
        else:
            break
    path = folder / "__init__.py"
    return (path if path.is_file() else None), module, rest


def _defined(module: _Module, name: str, depth: int = 8) -> tuple[_Module, Definition] | None:
    """Definition of a module's name, followed through imports."""
    if depth == 0:
        return None
    for node in _flat(_statements(module.path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*" or (alias.asname or alias.name) == name:
                    source = name if alias.name == "*" else alias.name
                    path, home, rest = _located(f"{module.imported_from(node)}.{source}")
                    found = _defined(_Module(home, path), rest[0], depth - 1) if path and len(rest) == 1 else None
                    if found is not None:
                        return found
    return None


def _flat(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements with those under `if` and `try`."""
    for node in statements:
        if isinstance(node, ast.If | ast.Try):
            yield from _flat([*node.body, *node.orelse])
        else:
            yield node


def _of_class(module: _Module, node: ast.ClassDef) -> Signature | None:
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
        return Signature({ast.unparse(field.target): _hint(field.annotation) for field in fields}, is_open=False)
    own = [member for member in _flat(node.body) if isinstance(member, ast.FunctionDef) and member.name == "__init__"]
    signature = _of_function(own[-1], bound=True) if own else Signature({}, is_open=bool(node.bases))
    if not signature.is_open:
        return signature
    inherited = _of_base(module, node)  # where other names go
    if inherited is None:
        return signature if own else None
    return Signature({**inherited.parameters, **signature.parameters}, inherited.is_open)


def _of_base(module: _Module, node: ast.ClassDef) -> Signature | None:
    base = node.bases[0] if node.bases else None
    found = None
    if isinstance(base, ast.Name):
        found = _defined(module, base.id)
    elif isinstance(base, ast.Attribute):  # pl.Callback
        path, home, names = _located(_imported(module, ast.unparse(base)))
        found = _defined(_Module(home, path), names[0]) if path and len(names) == 1 else None
    return _of_class(found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None


def _imported(module: _Module, dotted: str) -> str:
    """A dotted name with the module's name in place of that by which it was imported."""
    first, _, rest = dotted.partition(".")
    for node in _flat(_statements(module.path)):
        for alias in node.names if isinstance(node, ast.Import) else ():
            if (alias.asname or alias.name) == first:
                return f"{alias.name}.{rest}"
    return dotted


def _of_function(node: ast.FunctionDef, *, bound: bool) -> Signature:
    positional = [*node.args.posonlyargs, *node.args.args][1 if bound else 0 :]
    hints = {argument.arg: _hint(argument.annotation) for argument in [*positional, *node.args.kwonlyargs]}
    return Signature(hints, is_open=node.args.kwarg is not None)


def _hint(node: ast.expr | None) -> Any:  # noqa: ANN401
    """The type that an annotation's source means."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=str() as text):
            return _hint(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return NAMES.get(name, Any)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_hint(left), _hint(right)]  # noqa: UP007  # None | None is no type
        case ast.Subscript(value=outer, slice=inner):
            return _subscript(ast.unparse(outer).rpartition(".")[2], inner)
    return Any


def _subscript(outer: str, inner: ast.expr) -> Any:  # noqa: ANN401
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return Literal[tuple(ast.literal_eval(part) for part in parts)]
    hints = [_hint(part) for part in parts]
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
