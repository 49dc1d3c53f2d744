"""Commands of the documents, as a shell other than bash reads them."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = r"(?:segment|pip|make|pytest|wandb|sbatch|srun|torchrun|python)\b"


def commands(text: str) -> list[str]:
    """Lines of sh blocks, and commands with arguments in the running text; comments and placeholders removed.

    Left out are scripts, which name their shell.
    """
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [span for span in re.findall(r"`([^`]+)`", prose) if re.match(COMMAND + " ", span)]
    lines = [line for block in blocks if not block.startswith("#!") for line in block.splitlines()] + spans
    without_comments = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [re.sub(r"<[^<>]*>", "X", line) for line in without_comments if line]


def exposed(command: str) -> str:
    """What a shell expands: the command without quoted parts, arrays' parentheses and expansions in braces."""
    array = re.sub(r"^(\w+)=\((.*)\)$", r"\1=\2", command)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\\.", "", array)


def survives(command: str) -> bool:
    """Whether zsh does as bash: it fails on a glob without a match, and keeps `$NAME` as one word.

    Files that match, as in `runs/*`, are the same in both; nothing matches the glob of an override.
    """
    return not re.search(r"[\[\]{}?()]|=\S*\*|\$\w", exposed(command))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_work_in_zsh(document):
    assert [line for line in commands(document.read_text(encoding="utf-8")) if not survives(line)] == []


@pytest.mark.parametrize(
    ("command", "works"),
    [
        ("segment train 'data=[phantom,lidc]' \"${MINE[@]}\"", True),
        ("MINE=(data=folder 'label_codes={liver:1}')", True),
        ("segment train data=[phantom,lidc]", False),
        ("segment train -m split.fold=range(5)", False),
        ("segment train label_codes={liver:1}", False),
        ("segment doctor $MINE", False),
        ("segment compare runs/*", True),
        ("segment predict input=scans/*", False),
    ],
)
def test_what_zsh_would_expand_is_found(command, works):
    assert survives(command) == works
