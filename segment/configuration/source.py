"""Modules as their source shows them: importing them could take seconds."""

import ast
import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from segment.configuration.nearest import nearest_word

# By which a module can get names that its statements do not show.
BY_OTHER_MEANS = {"globals", "vars", "setattr", "exec", "__path__", "__getattr__", "modules"}


@dataclass(frozen=True)
class Module:
    """A module: its dotted name and its file."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imported_from(self, node: ast.ImportFrom) -> str:
        """Absolute name of the module that an import statement names."""
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


@functools.cache
def statements(path: Path) -> Sequence[ast.stmt]:
    """What a file holds."""
    return ast.parse(path.read_text(encoding="utf-8")).body


def located(dotted: str) -> tuple[Path | None, str, list[str]]:
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


def flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements with those under `if` and `try`."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from flat([*node.body, *node.orelse])
        else:
            yield node


def absence(target: str) -> str | None:
    """What there is not of a dotted name that should be a class or function; None if it may be there."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        return f"{target!r} is no dotted name of a class or function"
    if parts[0] not in sys.modules and find_spec(parts[0]) is None:
        return f"there is no package {parts[0]}; correct the name, or install it"
    path, module, rest = located(target)
    if path is None:
        return None
    if not rest:
        return f"{target} is a module; name a class or function in it"
    known = _names(Module(module, path))
    if known is None or rest[0] in known or any(path.parent.glob(f"{rest[0]}.*")):  # perhaps a compiled module
        return None
    near = nearest_word(rest[0], sorted(known, reverse=True))  # rather AdamW than adamw
    return f"{module} has no {rest[0]}; " + (f"did you mean {module}.{near}?" if near else "correct the name")


@functools.cache
def _names(module: Module) -> frozenset[str] | None:
    """Names that a module has, and perhaps some more; None where it can have others."""
    names: set[str] = set()
    for node in (part for statement in statements(module.path) for part in ast.walk(statement)):
        match node:
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                path, home, rest = located(module.imported_from(node))
                starred = _names(Module(home, path)) if path and not rest else None
                if starred is None:
                    return None
                names |= starred
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                names.add(name)
            case ast.Global(names=several):
                names.update(several)
    return None if names & BY_OTHER_MEANS else frozenset(names)
