"""The commands in the documentation work in zsh, too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = r"(?:segment|pip|make|pytest|wandb|sbatch|srun|torchrun|python)\b"


def commands(text: str) -> list[str]:
    """Lines of sh blocks, and commands with arguments in the text, without comments and placeholders.

    Scripts are left out, because their first line names the shell.
    """
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = [span for span in re.findall(r"`([^`]+)`", prose) if re.match(COMMAND + " ", span)]
    for block in blocks:
        if not block.startswith("#!"):
            lines += block.splitlines()
    without_comments = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [re.sub(r"<[^<>]*>", "X", line) for line in without_comments if line]


def exposed(command: str) -> str:
    """The parts of a command that a shell expands: no quoted text, and no parentheses of arrays."""
    array = re.sub(r"^(\w+)=\((.*)\)$", r"\1=\2", command)
    return re.sub(r"'[^']*'|\"[^\"]*\"|\\.", "", array)


def works_in_zsh(command: str) -> bool:
    """Whether zsh expands a command like bash does.

    zsh fails on a glob without a match, and does not split `$NAME` into words. A glob of files, e.g. `runs/*`, is the
    same in both shells. A glob in an override matches no file.
    """
    return not re.search(r"[\[\]{}?()]|=\S*\*|\$\w", exposed(command))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_work_in_zsh(document):
    assert [line for line in commands(document.read_text(encoding="utf-8")) if not works_in_zsh(line)] == []


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
def test_commands_that_fail_in_zsh_are_found(command, works):
    assert works_in_zsh(command) == works
