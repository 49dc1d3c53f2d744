"""Quote tables of other pages, so that a figure is stated in one place only.

The mark `<!-- table: starter.md#scores -->` stands for the first table of that section, `<!-- table 2: … -->` for the
second. On a code host it is invisible: the text around it links to the section.
"""

import re
from pathlib import Path

MARK = re.compile(r"<!-- table(?: (\d+))?: (\S+)#(\S+) -->")


def replace_marks(markdown: str, docs: Path) -> str:
    """Replace every mark in a page by its table.

    Args:
        markdown: The page.
        docs: The folder from which the marks name files.

    Raises:
        ValueError: When there is no such section, or it has no such table.
    """
    return MARK.sub(lambda mark: _table(docs / mark[2], mark[3], int(mark[1] or 1)), markdown)


def _table(path: Path, anchor: str, number: int) -> str:
    tables = re.findall(r"(?:^\|.*\n)+", _section(path, anchor), flags=re.MULTILINE)
    if len(tables) < number:
        msg = f"{path.name}#{anchor} has {len(tables)} tables, not {number}; correct the mark"
        raise ValueError(msg)
    return str(tables[number - 1])


def _section(path: Path, anchor: str) -> str:
    """The text below a heading, up to the next heading of its level or above."""
    text = path.read_text(encoding="utf-8")
    for heading in re.finditer(r"^(#+) (.*)\n", text, flags=re.MULTILINE):
        if slug(heading[2]) == anchor:
            end = re.search(rf"^#{{1,{len(heading[1])}}} ", text[heading.end() :], flags=re.MULTILINE)
            return text[heading.end() :][: end.start() if end else None]
    msg = f"{path.name} has no section #{anchor}; correct the mark"
    raise ValueError(msg)


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
