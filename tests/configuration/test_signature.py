"""Signatures read from source agree with those of the imported objects."""

import inspect
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from segment.bounds import is_bounded
from segment.coercion import Mismatch, coerce
from segment.configuration.signature import signature
from segment.configuration.values import config_dir

SOURCE = """
from dataclasses import dataclass, field
from typing import Literal, Optional
from .elsewhere import Parent, renamed as function
from .starred import *

class Plain:
    def __init__(self, count: int, *, size: "list[int]" = (), mode: Literal["a", "b"] = "a"):
        pass

class Open(Plain):
    def __init__(self, extra: Optional[bool] = None, **kwargs):
        super().__init__(**kwargs)

class Keeps(Plain):
    def __init__(self, extra: Optional[bool] = None, **kwargs):
        super().__init__(3)
        self.kept = kwargs

@dataclass
class Base:
    width: int

@dataclass
class Wider(Base):
    depth: int = 3
    made: int = field(init=False)

class Made:
    def __new__(cls, *args):
        return object.__new__(cls)

@decorated
def other(a: int): ...

class Child(Parent):
    pass

class Scaled:
    def __init__(self, rate: "float | Tensor"): ...

class Unknown(Missing):
    pass

@dataclass
class Fields:
    name: str
    pair: tuple[int, int] = (1, 2)

if True:
    class Conditional:
        def __init__(self, path: "str | Path"): ...
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    folder = tmp_path / "made_up"
    folder.mkdir()
    (folder / "__init__.py").write_text(SOURCE)
    (folder / "elsewhere.py").write_text(
        "class Parent:\n    def __init__(self, weight: float): ...\ndef renamed(a: int, b): ...\n"
    )
    (folder / "starred.py").write_text("class Starred:\n    def __init__(self, on: bool): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    signature.cache_clear()
    yield "made_up"
    signature.cache_clear()


@pytest.mark.parametrize(
    ("name", "parameters", "is_open"),
    [
        ("Plain", {"count": int, "size": list[int], "mode": Literal["a", "b"]}, False),
        (
            "Open",
            {
                "count": int,
                "size": list[int],
                "mode": Literal["a", "b"],
                "extra": bool | None,
            },
            False,
        ),
        ("Keeps", {"extra": bool | None}, True),
        ("Wider", {"width": int, "depth": int}, False),
        ("Child", {"weight": float}, False),
        ("function", {"a": int, "b": Any}, False),
        ("Starred", {"on": bool}, False),
        ("Fields", {"name": str, "pair": tuple[int, int]}, False),
        ("Conditional", {"path": str}, False),
    ],
)
def test_parameters_are_read_from_the_source(module, name, parameters, is_open):
    found = signature(f"{module}.{name}")
    assert dict(found.parameters) == parameters
    assert found.is_open is is_open
    assert module not in sys.modules


def test_a_tensor_annotation_accepts_no_option(module):
    hint = signature(f"{module}.Scaled").parameters["rate"]
    assert coerce(1e-3, hint) == 1e-3
    with pytest.raises(Mismatch):
        coerce("fast", hint)


@pytest.mark.parametrize("name", ["Unknown", "Made", "other", "Nothing", "nothing.Nothing", "Plain.method"])
def test_a_signature_that_the_source_does_not_show_is_none(module, name):
    assert signature(f"{module}.{name}") is None


def targets() -> list[str]:
    """Every `_target_` in conf/."""
    found: set[str] = set()
    for file in Path(config_dir()).rglob("*.yaml"):
        found |= targets_of(OmegaConf.to_container(OmegaConf.load(file)))
    return sorted(found)


def targets_of(node: Any) -> set[str]:
    found = set()
    children = []
    if isinstance(node, dict):
        children = list(node.values())
        if "_target_" in node:
            found.add(node["_target_"])
    elif isinstance(node, list):
        children = node
    for child in children:
        found |= targets_of(child)
    return found


@pytest.mark.parametrize("target", targets())
def test_the_source_and_the_imported_object_have_the_same_parameters(target):
    """For every `_target_` in conf/, the names agree, and so do the types that both sides have."""
    found = signature(target)
    real = inspect.signature(get_object(target)).parameters
    assert found is not None
    is_open = any(parameter.kind is parameter.VAR_KEYWORD for parameter in real.values())
    names = {name for name, p in real.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    assert names <= set(found.parameters)
    assert is_open or names == set(found.parameters)
    if target.startswith("segment."):
        built = get_object(target)
        hints = get_type_hints(built.__init__ if isinstance(built, type) else built)
        plain = {bool, int, float, str}
        for name in names & hints.keys():
            from_source = _members(found.parameters[name]) & plain
            from_import = _members(hints[name]) & plain
            assert from_import <= from_source, name


def _members(hint: Any) -> set[Any]:
    """The members of a union, without their bounds."""
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*map(_members, get_args(hint)))
    return {hint}


@pytest.mark.parametrize("target", [target for target in targets() if target.startswith("segment.")])
def test_a_constructor_with_bounded_parameters_checks_them_itself(target):
    """A call from Python gets the same error as the command line."""
    built = get_object(target)
    takes = built.__init__ if isinstance(built, type) else built
    bounded = [name for name, hint in get_type_hints(takes, include_extras=True).items() if is_bounded(hint)]
    assert not bounded or hasattr(takes, "__wrapped__")
    assert all(is_bounded(signature(target).parameters[name]) for name in bounded)


def test_reading_a_signature_imports_nothing():
    code = (
        "import sys; from segment.configuration.signature import signature\n"
        "assert signature('torch.optim.AdamW').parameters['amsgrad'] is bool\n"
        "assert signature('pytorch_lightning.Trainer').parameters['min_epochs'] == int | None\n"
        "print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
