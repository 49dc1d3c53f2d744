"""What there certainly is not is told from what source does not show."""

import pytest
from hydra.utils import get_object

from segment.configuration.source import absence


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
def test_what_may_be_there_is_not_refused(module, name):
    assert absence(f"{module}.{name}") is None


def test_what_is_not_there_is_named(module):
    assert absence(f"{module}.Nett") == f"{module} has no Nett; did you mean {module}.Net?"
    assert absence(f"{module}.qwerty.Net") == f"{module} has no qwerty; correct the name"
    assert absence(f"{module}.starred") == f"{module}.starred is a module; name a class or function in it"
    assert absence("no_such_thing.Net") == "there is no package no_such_thing; correct the name, or install it"
    assert absence("a..b") == "'a..b' is no dotted name of a class or function"


@pytest.mark.parametrize(
    "target", ["datetime.timedelta", "functools.partial", "builtins.dict", "torch.nn.ReLU", "os.path.join"]
)
def test_what_an_import_finds_is_not_refused(target):
    assert get_object(target)
    assert absence(target) is None
