"""What is read from the source is what importing it shows."""

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
from segment.configuration.signature import signature
from segment.configuration.values import config_dir
from segment.kind import Misfit, fitted

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


def test_no_option_is_a_tensor(module):
    hint = signature(f"{module}.Scaled").parameters["rate"]
    assert fitted(1e-3, hint) == 1e-3
    with pytest.raises(Misfit):
        fitted("fast", hint)


@pytest.mark.parametrize("name", ["Unknown", "Made", "other", "Nothing", "nothing.Nothing", "Plain.method"])
def test_what_the_source_does_not_show_is_unknown(module, name):
    assert signature(f"{module}.{name}") is None


def targets() -> list[str]:
    """Everything that conf/ names."""

    def named(node: Any) -> set[str]:
        items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = {node["_target_"]} if isinstance(node, dict) and "_target_" in node else set()
        return own.union(*map(named, items))

    files = Path(config_dir()).rglob("*.yaml")
    return sorted(set().union(*(named(OmegaConf.to_container(OmegaConf.load(file))) for file in files)))


@pytest.mark.parametrize("target", targets())
def test_the_source_shows_what_an_import_does(target):
    """Of every class in conf/: names of parameters, and types where both ways know one."""
    found, real = signature(target), inspect.signature(get_object(target)).parameters
    assert found is not None
    takes_others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in real.values())
    names = {name for name, p in real.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    assert names <= set(found.parameters)
    assert takes_others or names == set(found.parameters)
    if target.startswith("segment."):
        made = get_object(target)
        hints = get_type_hints(made.__init__ if isinstance(made, type) else made)
        for name in names & hints.keys():
            plain = {bool, int, float, str}
            one, other = (_members(hint) & plain for hint in (found.parameters[name], hints[name]))
            assert other <= one, name


def _members(hint: Any) -> set[Any]:
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    return set().union(*map(_members, get_args(hint))) if get_origin(hint) in (Union, types.UnionType) else {hint}


@pytest.mark.parametrize("target", [target for target in targets() if target.startswith("segment.")])
def test_a_constructor_refuses_what_its_annotations_exclude(target):
    """Those who call it from Python are told, too."""
    made = get_object(target)
    takes = made.__init__ if isinstance(made, type) else made
    bounded = [name for name, hint in get_type_hints(takes, include_extras=True).items() if is_bounded(hint)]
    assert not bounded or hasattr(takes, "__wrapped__")
    assert all(is_bounded(signature(target).parameters[name]) for name in bounded)


def test_reading_imports_nothing():
    code = (
        "import sys; from segment.configuration.signature import signature\n"
        "assert signature('torch.optim.AdamW').parameters['amsgrad'] is bool\n"
        "assert signature('pytorch_lightning.Trainer').parameters['min_epochs'] == int | None\n"
        "print([name for name in ('torch', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
