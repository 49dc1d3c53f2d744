"""The parameters of what `_target_` names, read from its source: importing it could take seconds."""

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from segment.bounds import Count, NotNegative, Share, Whole
from segment.configuration.annotation import hint_of
from segment.configuration.source import Module, flat, located, statements
from segment.kind import Range

FromMinusOne = Annotated[int, Range(-1)]
LIMIT = Whole | Share | None
# What other projects' constructors refuse though their annotations do not say so, by the beginning of the target.
STRICTER: dict[str, dict[str, Any]] = {
    "torch.optim.": dict.fromkeys(("lr", "weight_decay", "momentum", "eps"), NotNegative),
    "pytorch_lightning.Trainer": {
        "max_epochs": FromMinusOne | None,
        **dict.fromkeys(("accumulate_grad_batches", "num_nodes"), Count),
        **dict.fromkeys(("check_val_every_n_epoch", "log_every_n_steps"), Count | None),
        **dict.fromkeys((f"limit_{stage}_batches" for stage in ("train", "val", "test")), LIMIT),
        "gradient_clip_val": NotNegative | None,
    },
    "segment.callbacks.early_stopping.StopEarly": {"patience": Whole},
    "segment.callbacks.checkpoint.RelativeCheckpoint": {"save_top_k": FromMinusOne, "every_n_epochs": Whole | None},
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
    path, module, names = located(target)
    if path is None or len(names) != 1:
        return None
    found = _defined(Module(module, path), names[0])
    if found is None:
        return None
    home, node = found
    if isinstance(node, ast.ClassDef):
        shown = _of_class(home, node)
        return shown and Signature({**shown.parameters, **_stricter(target, shown.parameters)}, shown.is_open)
    return None if node.decorator_list else _of_function(node, bound=False)  # a decorator may take other arguments


def _stricter(target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    ranges = next((ranges for start, ranges in STRICTER.items() if target.startswith(start)), {})
    return {name: hint for name, hint in ranges.items() if name in parameters}


Definition = ast.ClassDef | ast.FunctionDef


def _defined(module: Module, name: str, depth: int = 8) -> tuple[Module, Definition] | None:
    """Definition of a module's name, followed through imports."""
    if depth == 0:
        return None
    for node in flat(statements(module.path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*" or (alias.asname or alias.name) == name:
                    source = name if alias.name == "*" else alias.name
                    path, home, rest = located(f"{module.imported_from(node)}.{source}")
                    found = _defined(Module(home, path), rest[0], depth - 1) if path and len(rest) == 1 else None
                    if found is not None:
                        return found
    return None


def _of_class(module: Module, node: ast.ClassDef) -> Signature | None:
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
    return [member for member in flat(node.body) if isinstance(member, ast.FunctionDef) and member.name == name]


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


def _of_base(module: Module, node: ast.ClassDef) -> Signature | None:
    base = node.bases[0] if node.bases else None
    found = None
    if isinstance(base, ast.Name):
        found = _defined(module, base.id)
    elif isinstance(base, ast.Attribute):  # pl.Callback
        path, home, names = located(_imported(module, ast.unparse(base)))
        found = _defined(Module(home, path), names[0]) if path and len(names) == 1 else None
    return _of_class(found[0], found[1]) if found and isinstance(found[1], ast.ClassDef) else None


def _imported(module: Module, dotted: str) -> str:
    """A dotted name with the module's name in place of that by which it was imported."""
    first, _, rest = dotted.partition(".")
    for node in flat(statements(module.path)):
        for alias in node.names if isinstance(node, ast.Import) else ():
            if (alias.asname or alias.name) == first:
                return f"{alias.name}.{rest}"
    return dotted


def _of_function(node: ast.FunctionDef, *, bound: bool) -> Signature:
    positional = [*node.args.posonlyargs, *node.args.args][1 if bound else 0 :]
    hints = {argument.arg: hint_of(argument.annotation) for argument in [*positional, *node.args.kwonlyargs]}
    return Signature(hints, is_open=node.args.kwarg is not None)
