"""Names that certainly do not exist are distinguished from names that the source does not show."""

import pytest
from hydra.utils import get_object

from segment.configuration.source import why_missing


@pytest.fixture
def module(tmp_path, monkeypatch):
    folder = tmp_path / "package_of_test_source"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .starred import *\nfrom json import dumps as written\nimport os.path\n")
    (folder / "starred.py").write_text("if True:\n    Net = net = object\ndef make():\n    global late\n    late = 1\n")
    (folder / "lazy.py").write_text("def __getattr__(name): return object\n")
    (folder / "built.abc.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


@pytest.mark.parametrize("name", ["Net", "net", "make", "written", "os", "starred.late", "lazy.Anything", "built.Net"])
def test_names_that_may_exist_are_accepted(module, name):
    assert why_missing(f"{module}.{name}") is None


def test_names_that_do_not_exist_are_explained(module):
    assert why_missing(f"{module}.Nett") == f"{module} has no Nett; did you mean {module}.Net?"
    assert why_missing(f"{module}.qwerty.Net") == f"{module} has no qwerty; correct the name"
    assert why_missing(f"{module}.starred") == f"{module}.starred is a module; name a class or function in it"
    assert why_missing("no_such_thing.Net") == "there is no package no_such_thing; correct the name, or install it"
    assert why_missing("a..b") == "'a..b' is not the dotted name of a class or function"


@pytest.mark.parametrize(
    "target", ["datetime.timedelta", "functools.partial", "builtins.dict", "torch.nn.ReLU", "os.path.join"]
)
def test_names_that_an_import_finds_are_accepted(target):
    assert get_object(target)
    assert why_missing(target) is None
