"""Limits on imports between the packages of the data flow."""

import ast
from pathlib import Path

import pytest

import segment

ROOT = Path(segment.__file__).parent


def imports_of(package):
    """Modules of segment that the files of a package import."""
    modules = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("segment"):
                modules.add(node.module)
    assert modules
    return modules


@pytest.mark.parametrize(
    ("package", "others"),
    [
        ("data", ("segment.datasets.sources", "segment.datasets.fetch")),
        ("datasets", ("segment.data.",)),
    ],
)
def test_data_sets_and_the_data_module_meet_in_configuration_only(package, others):
    assert not [module for module in imports_of(package) if module.startswith(others)]


def test_readers_do_not_import_data_sets():
    allowed = ("segment.io", "segment.errors", "segment.files", "segment.memory")
    assert not [module for module in imports_of("io") if not module.startswith(allowed)]
