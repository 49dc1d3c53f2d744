"""The parameters of what `_target_` names, read from its source: importing it could take seconds."""

import ast
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from segment.configuration.annotation import hint_of


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
    if isinstance(node, ast.ClassDef):
        return _of_class(home, node)
    return None if node.decorator_list else _of_function(node, bound=False)  # a decorator may take other arguments


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
    if _is_made_otherwise(node):
        return None
    inherited = _of_base(module, node) if node.bases else Signature({}, is_open=False)
    if node.decorator_list:
        return _of_dataclass(node, inherited)
    own = _methods(node, "__init__")
    if not own:
        return inherited
    signature = _of_function(own[-1], bound=True)
    if not signature.is_open or not _passes_on(own[-1]):
        return signature
    if inherited is None:
        return signature
    return Signature({**inherited.parameters, **signature.parameters}, inherited.is_open)


def _is_made_otherwise(node: ast.ClassDef) -> bool:
    """Whether more than `__init__` decides over the arguments: `__new__`, a metaclass or an unknown decorator."""
    metaclasses = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "metaclass"]
    odd = [name for name in metaclasses if not name.endswith("ABCMeta")]
    odd += [text for text in map(ast.unparse, node.decorator_list) if "dataclass" not in text]
    return bool(odd or _methods(node, "__new__"))


def _of_dataclass(node: ast.ClassDef, inherited: Signature | None) -> Signature | None:
    if inherited is None:
        return None
    fields = [member for member in node.body if isinstance(member, ast.AnnAssign)]
    given = [f for f in fields if "ClassVar" not in ast.unparse(f) and "init=False" not in ast.unparse(f)]
    own = {ast.unparse(field.target): hint_of(field.annotation) for field in given}
    return Signature({**inherited.parameters, **own}, inherited.is_open)


def _methods(node: ast.ClassDef, name: str) -> list[ast.FunctionDef]:
    return [member for member in _flat(node.body) if isinstance(member, ast.FunctionDef) and member.name == name]


def _passes_on(node: ast.FunctionDef) -> bool:
    """Whether a constructor hands its `**kwargs` to its base's, and does nothing else with them."""
    assert node.args.kwarg is not None
    name = node.args.kwarg.arg
    uses = [part for part in ast.walk(node) if isinstance(part, ast.Name) and part.id == name]
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call)]
    handed = [
        keyword.value
        for call in calls
        if ast.unparse(call.func).endswith(".__init__")
        for keyword in call.keywords
        if keyword.arg is None
    ]
    return len(uses) == 1 and uses[0] in handed


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
    hints = {argument.arg: hint_of(argument.annotation) for argument in [*positional, *node.args.kwonlyargs]}
    return Signature(hints, is_open=node.args.kwarg is not None)
