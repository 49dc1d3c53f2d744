"""The commands in the documentation are valid: names, values and choices exist. Some pages have tests of their own."""

import re
import shlex
from pathlib import Path

import pytest

from segment.__main__ import main

ROOT = Path(__file__).parents[2]
READ_FIRST = ("index", "tutorial", "configuration", "statistics")
GUIDES = ("training", "predict", "confidence", "engines", "doctor", "view", "compare", "recipes", "wandb")
PAGES = ("README.md", *(f"docs/{name}.md" for name in (*READ_FIRST, *GUIDES)))
MINE = "data=folder data.sources.folder.root=X 'data.sources.folder.label_codes={liver: 1}'"


def commands(text: str) -> list[str]:
    """The lines of sh blocks that start with `segment`, with values in place of placeholders.

    Lines are left out that are shortened by an ellipsis, or name a folder that the reader has.
    """
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        re.sub(r"<[^<>]*>", "X", line.replace('"${MINE[@]}"', MINE))
        for line in lines
        if re.match(r"segment\b", line) and "…" not in line.partition("#")[0] and "--config-dir" not in line
    ]


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_valid(page, invoke, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runpy.run_module", lambda *_, **__: None)  # the command itself, once its options are checked
    found = commands((ROOT / page).read_text(encoding="utf-8"))
    refused = {}
    for line in found:
        code, _, err = invoke(main, *shlex.split(line, comments=True)[1:])
        if code:
            refused[line] = err
    assert refused == {}
    assert found
