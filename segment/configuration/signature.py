"""Read the parameters of a `_target_` from its source, because importing it could take seconds."""

import ast
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from segment.bounds import NonNegativeFloat, NonNegativeInt, PositiveInt, Share
from segment.configuration.annotation import annotated_type
from segment.configuration.source import Module, flat_statements, locate, statements
from segment.constraints import Range

FromMinusOne = Annotated[int, Range(-1)]
BatchLimit = NonNegativeInt | Share | None
# Ranges that constructors of other packages enforce but do not annotate, by the beginning of the target.
EXTRA_RANGES: dict[str, dict[str, Any]] = {
    "torch.optim.": dict.fromkeys(("lr", "weight_decay", "momentum", "eps"), NonNegativeFloat),
    "pytorch_lightning.Trainer": {
        "max_epochs": FromMinusOne | None,
        **dict.fromkeys(("accumulate_grad_batches", "num_nodes"), PositiveInt),
        **dict.fromkeys(("check_val_every_n_epoch", "log_every_n_steps"), PositiveInt | None),
        **dict.fromkeys(("limit_train_batches", "limit_val_batches", "limit_test_batches"), BatchLimit),
        "gradient_clip_val": NonNegativeFloat | None,
    },
    "segment.callbacks.early_stopping.StopEarly": {"patience": NonNegativeInt},
    "segment.callbacks.checkpoint.RelativeCheckpoint": {
        "save_top_k": FromMinusOne,
        "every_n_epochs": NonNegativeInt | None,
    },
}

Definition = ast.ClassDef | ast.FunctionDef
MAX_IMPORTS = 8  # imports that are followed to find a definition


@dataclass(frozen=True)
class Signature:
    """The parameters of a class or function.

    Attributes:
        parameters: Types by name; `Any` when options cannot be checked against the annotation.
        is_open: Whether it accepts other names too (`**kwargs`).
    """

    parameters: Mapping[str, Any]
    is_open: bool


@functools.cache
def signature(target: str) -> Signature | None:
    """Return the signature of a dotted name, for example `torch.optim.AdamW`; None if its source does not show it."""
    found = _find_target(target)
    if found is None:
        return None
    module, node = found
    if isinstance(node, ast.FunctionDef):
        if node.decorator_list:  # a decorator may change the parameters
            return None
        return _function_signature(node, skip_self=False)
    takes = _class_signature(module, node)
    if takes is None:
        return None
    return Signature({**takes.parameters, **_extra_ranges(target, takes.parameters)}, takes.is_open)


def _extra_ranges(target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    for start, ranges in EXTRA_RANGES.items():
        if target.startswith(start):
            return {name: hint for name, hint in ranges.items() if name in parameters}
    return {}


def _find_target(target: str, depth: int = MAX_IMPORTS) -> tuple[Module, Definition] | None:
    """Return the definition of a dotted name and the module that holds it."""
    path, module, names = locate(target)
    if path is None or len(names) != 1:
        return None
    return _find_definition(Module(module, path), names[0], depth)


def _find_definition(module: Module, name: str, depth: int = MAX_IMPORTS) -> tuple[Module, Definition] | None:
    """Return the definition of a name in a module, and the module that holds it; imports are followed."""
    if depth == 0:
        return None
    for node in flat_statements(statements(module.path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name != "*" and (alias.asname or alias.name) != name:
                    continue
                original = name if alias.name == "*" else alias.name
                found = _find_target(f"{module.imported_from(node)}.{original}", depth - 1)
                if found is not None:
                    return found
    return None


def _class_signature(module: Module, node: ast.ClassDef) -> Signature | None:
    """Return the signature of a class's constructor; None if the source does not show it."""
    if _has_custom_construction(node):
        return None
    inherited = _base_signature(module, node) if node.bases else Signature({}, is_open=False)
    if node.decorator_list:
        return _dataclass_signature(node, inherited)
    constructors = _methods(node, "__init__")
    if not constructors:
        return inherited
    own = _function_signature(constructors[-1], skip_self=True)
    if inherited is None or not own.is_open or not _forwards_kwargs(constructors[-1]):
        return own
    return Signature({**inherited.parameters, **own.parameters}, inherited.is_open)


def _has_custom_construction(node: ast.ClassDef) -> bool:
    """Whether the arguments depend on more than `__init__`: on `__new__`, a metaclass or an unknown decorator."""
    for keyword in node.keywords:
        if keyword.arg == "metaclass" and not ast.unparse(keyword.value).endswith("ABCMeta"):
            return True
    for decorator in node.decorator_list:
        if "dataclass" not in ast.unparse(decorator):
            return True
    return bool(_methods(node, "__new__"))


def _dataclass_signature(node: ast.ClassDef, inherited: Signature | None) -> Signature | None:
    if inherited is None:
        return None
    parameters = dict(inherited.parameters)
    for field in node.body:
        if not isinstance(field, ast.AnnAssign):
            continue
        text = ast.unparse(field)
        if "ClassVar" not in text and "init=False" not in text:
            parameters[ast.unparse(field.target)] = annotated_type(field.annotation)
    return Signature(parameters, inherited.is_open)


def _methods(node: ast.ClassDef, name: str) -> list[ast.FunctionDef]:
    members = flat_statements(node.body)
    return [member for member in members if isinstance(member, ast.FunctionDef) and member.name == name]


def _forwards_kwargs(node: ast.FunctionDef) -> bool:
    """Whether a constructor uses its `**kwargs` only to pass them to the constructor of its base class."""
    assert node.args.kwarg is not None
    name = node.args.kwarg.arg
    uses = [part for part in ast.walk(node) if isinstance(part, ast.Name) and part.id == name]
    forwarded = []
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".__init__"):
            forwarded += [keyword.value for keyword in call.keywords if keyword.arg is None]
    return len(uses) == 1 and uses[0] in forwarded


def _base_signature(module: Module, node: ast.ClassDef) -> Signature | None:
    base = node.bases[0]
    found = None
    if isinstance(base, ast.Name):
        found = _find_definition(module, base.id)
    elif isinstance(base, ast.Attribute):  # for example pl.Callback
        found = _find_target(_absolute_name(module, ast.unparse(base)))
    if found is None or not isinstance(found[1], ast.ClassDef):
        return None
    return _class_signature(found[0], found[1])


def _absolute_name(module: Module, dotted: str) -> str:
    """Replace the alias at the start of a dotted name: `pl.Callback` becomes `pytorch_lightning.Callback`."""
    first, _, rest = dotted.partition(".")
    for node in flat_statements(statements(module.path)):
        if not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            if (alias.asname or alias.name) == first:
                return f"{alias.name}.{rest}"
    return dotted


def _function_signature(node: ast.FunctionDef, *, skip_self: bool) -> Signature:
    arguments = [*node.args.posonlyargs, *node.args.args]
    if skip_self:
        arguments = arguments[1:]
    arguments += node.args.kwonlyargs
    hints = {argument.arg: annotated_type(argument.annotation) for argument in arguments}
    return Signature(hints, is_open=node.args.kwarg is not None)
