"""Who imports whom inside segment/data."""

import ast
from pathlib import Path

import pytest

import segment.data

ROOT = Path(segment.data.__file__).parent


def imported(room):
    """Modules of segment.data that the files of a room import."""
    nodes = [node for path in (ROOT / room).rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    return {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and str(node.module).startswith("segment")
    }


@pytest.mark.parametrize(("room", "others"), [("sources", ["splits", "inspect", "fetch"]), ("splits", ["sources"])])
def test_where_cases_come_from_and_where_they_go_know_nothing_of_each_other(room, others):
    assert not [m for m in imported(room) for other in others if m.startswith(f"segment.data.{other}")]


def test_readers_know_nothing_of_data_sets():
    lower = ("segment.io", "segment.io.label_codes", "segment.errors", "segment.files", "segment.memory")
    assert not [module for module in imported("readers") if not module.startswith(lower)]
