"""Read modules from their source, because importing them could take seconds."""

import ast
import functools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from segment.configuration.nearest import nearest_word

# A module that uses one of these can define names that its statements do not show.
DYNAMIC_NAMES = {"globals", "vars", "setattr", "exec", "__path__", "__getattr__", "modules"}


@dataclass(frozen=True)
class Module:
    """A module that is not imported.

    Attributes:
        name: Dotted name.
        path: Source file.
    """

    name: str
    path: Path

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def imported_from(self, node: ast.ImportFrom) -> str:
        """Return the absolute name of the module in `from <module> import …`."""
        if not node.level:
            return node.module or ""
        package = self.package.split(".")
        parts = package[: len(package) - node.level + 1]
        if node.module:
            parts.append(node.module)
        return ".".join(parts)


@functools.cache
def statements(path: Path) -> Sequence[ast.stmt]:
    """Return the top-level statements of a source file."""
    return ast.parse(path.read_text(encoding="utf-8")).body


def locate(dotted: str) -> tuple[Path | None, str, list[str]]:
    """Split a dotted name into its module and the names in that module.

    For example, `torch.optim.AdamW` gives the path of `torch/optim/__init__.py`, `torch.optim` and `["AdamW"]`.

    Returns:
        The source file of the longest module in the name, or None if it has none; the name of the module; the rest.
    """
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
        elif (folder / f"{rest[0]}.py").is_file():
            return folder / f"{rest[0]}.py", f"{module}.{rest[0]}", rest[1:]
        else:
            break
    path = folder / "__init__.py"
    return (path if path.is_file() else None), module, rest


def flat_statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, with those inside `if` and `try` in place of the `if` or `try`."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from flat_statements([*node.body, *node.orelse])
        else:
            yield node


def why_missing(target: str) -> str | None:
    """Return why a dotted name cannot be a class or function, for a message; None if it may be one."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        return f"{target!r} is not the dotted name of a class or function"
    if parts[0] not in sys.modules and find_spec(parts[0]) is None:
        return f"there is no package {parts[0]}; correct the name, or install it"
    path, module, rest = locate(target)
    if path is None:
        return None
    if not rest:
        return f"{target} is a module; name a class or function in it"
    known = _defined_names(Module(module, path))
    if known is None or rest[0] in known:
        return None
    if any(path.parent.glob(f"{rest[0]}.*")):  # possibly a compiled module
        return None
    near = nearest_word(rest[0], sorted(known, reverse=True))  # sorted to suggest AdamW rather than adamw
    hint = f"did you mean {module}.{near}?" if near else "correct the name"
    return f"{module} has no {rest[0]}; {hint}"


@functools.cache
def _defined_names(module: Module) -> frozenset[str] | None:
    """Return all names that a module defines, and possibly more; None if it can define names that we cannot see."""
    names: set[str] = set()
    for statement in statements(module.path):
        for node in ast.walk(statement):
            match node:
                case ast.ImportFrom(names=[ast.alias(name="*")]):
                    imported = _names_of_star_import(module, node)
                    if imported is None:
                        return None
                    names |= imported
                case ast.alias(name=name, asname=other):
                    names.add(other or name.partition(".")[0])
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    names.add(name)
                case ast.Global(names=several):
                    names.update(several)
    if names & DYNAMIC_NAMES:
        return None
    return frozenset(names)


def _names_of_star_import(module: Module, node: ast.ImportFrom) -> frozenset[str] | None:
    path, source, rest = locate(module.imported_from(node))
    if path is None or rest:
        return None
    return _defined_names(Module(source, path))
