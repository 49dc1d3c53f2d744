"""Write a contact sheet: a coronal and an axial plane of every case in a data set, with the organs' contours."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from segment.doctor.thumbnail import HEIGHT, PX_PER_MM, WIDTH
from segment.files import atomic_write, write_text
from segment.view.colors import Color, organ_colors

COLUMNS, ROWS = 5, 8
CONTENTS = "sheet.json"  # where each case is on the sheets
_GAP, _CAPTION, _FRAME, _ROW, _PAD = 14, 44, 3, 30, 12
_PAPER, _INK, _FAINT = (17, 17, 17), (240, 240, 240), (150, 150, 150)
_TILE_WIDTH, _TILE_HEIGHT = 2 * WIDTH + 2 * _FRAME, HEIGHT + _CAPTION + 2 * _FRAME
MARKS = {"error": (235, 64, 52), "warning": (250, 200, 40), "note": (90, 150, 235), None: (90, 90, 90)}


@dataclass(frozen=True)
class Entry:
    """One case on the sheet.

    Attributes:
        name: The case's id.
        thumbnail: PNG from `render_thumbnail`, or empty if there is nothing to show.
        mark: Worst severity of its findings: error, warning, note, or None.
        caption: Text below the name.
    """

    name: str
    thumbnail: bytes
    mark: str | None
    caption: str


def write_sheets(folder: Path, entries: Sequence[Entry], organs: Sequence[str]) -> list[Path]:
    """Write `sheet.png`, or `sheet_01.png`, `sheet_02.png`, … with `COLUMNS`·`ROWS` cases each, and `sheet.json`.

    `sheet.json` names the organs and, for each case, its sheet and the box of its two planes on it: left, top, right,
    bottom; null if it cannot be shown.

    Args:
        folder: The folder to write to.
        entries: The cases, in the order in which they are shown.
        organs: Names of the contours, as given to `render_thumbnail`.

    Returns:
        The pictures. Empty without cases.
    """
    size = COLUMNS * ROWS
    pages = [entries[start : start + size] for start in range(0, len(entries), size)]
    paths: list[Path] = []
    contents: list[dict[str, Any]] = []
    for number, page in enumerate(pages, start=1):
        path = folder / ("sheet.png" if len(pages) == 1 else f"sheet_{number:02d}.png")
        title = "1 case" if len(entries) == 1 else f"{len(entries)} cases"
        if len(pages) > 1:
            title += f", page {number} of {len(pages)}"
        picture, boxes = _render_page(page, organs, title)
        with atomic_write(path) as temporary:
            picture.save(temporary, format="PNG")
        paths.append(path)
        for entry, box in zip(page, boxes, strict=True):
            shown = {"sheet": path.name, "box": box} if entry.thumbnail else {"sheet": None, "box": None}
            contents.append({"case": entry.name, **shown})
    write_text(folder / CONTENTS, json.dumps({"organs": list(organs), "cases": contents}, indent=1))
    return paths


def _render_page(
    entries: Sequence[Entry], organs: Sequence[str], title: str
) -> tuple[Image.Image, list[tuple[int, int, int, int]]]:
    """A page, and the box of the planes of each case."""
    columns = min(COLUMNS, max(2, len(entries)))
    rows = -(-len(entries) // columns)
    width = columns * (_TILE_WIDTH + _GAP) + _GAP
    positions, lines = _lay_out_legend(organs, width)
    header = _PAD + (lines + 1) * _ROW
    page = Image.new("RGB", (width, header + rows * (_TILE_HEIGHT + _GAP) + _GAP), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_GAP, _PAD), title, font=_font(20, bold=True), fill=_INK)
    _draw_key(draw, width)
    for organ, (left, line), color in zip(organs, positions, organ_colors(organs), strict=True):
        top = _PAD + (line + 1) * _ROW
        draw.rectangle((left, top, left + 15, top + 15), fill=_rgb(color))
        draw.text((left + 22, top + 8), organ.replace("_", " "), font=_font(16), fill=_INK, anchor="lm")
    boxes = []
    for index, entry in enumerate(entries):
        row, column = divmod(index, columns)
        left, top = _GAP + column * (_TILE_WIDTH + _GAP), header + row * (_TILE_HEIGHT + _GAP)
        _draw_entry(page, entry, left, top)
        x, y = _planes_corner(left, top)
        boxes.append((x, y, x + 2 * WIDTH, y + HEIGHT))
    return page, boxes


def _planes_corner(left: int, top: int) -> tuple[int, int]:
    """Where the planes of a tile start."""
    return left + _FRAME, top + _FRAME + _CAPTION


def _lay_out_legend(organs: Sequence[str], width: int) -> tuple[list[tuple[int, int]], int]:
    """Return the left end and the line of each organ's name, and the number of lines."""
    positions: list[tuple[int, int]] = []
    left, line = _GAP, 0
    for organ in organs:
        needed = 22 + int(_font(16).getlength(organ)) + 26
        if left > _GAP and left + needed > width:
            left, line = _GAP, line + 1
        positions.append((left, line))
        left += needed
    return positions, line + 1


def _draw_key(draw: ImageDraw.ImageDraw, width: int) -> None:
    """Draw the meaning of the frames' colours and a scale bar of 10 cm, at the right of the first line."""
    right, middle = width - _GAP, _PAD + 12
    length = round(100 * PX_PER_MM)
    draw.line((right - length, middle, right, middle), fill=_INK, width=3)
    for end in (right - length, right):
        draw.line((end, middle - 6, end, middle + 6), fill=_INK, width=3)
    right -= length + 10
    draw.text((right, middle), "10 cm", font=_font(16), fill=_INK, anchor="rm")
    right -= int(_font(16).getlength("10 cm")) + 30
    for mark in ("note", "warning", "error"):
        draw.text((right, middle), mark, font=_font(16), fill=_INK, anchor="rm")
        right -= int(_font(16).getlength(mark)) + 8
        draw.rectangle((right - 15, middle - 7, right, middle + 8), fill=MARKS[mark])
        right -= 36


def _draw_entry(page: Image.Image, entry: Entry, left: int, top: int) -> None:
    draw = ImageDraw.Draw(page)
    mark = MARKS[entry.mark]
    draw.rectangle((left, top, left + _TILE_WIDTH - 1, top + _TILE_HEIGHT - 1), outline=mark, width=_FRAME)
    inside = _TILE_WIDTH - 4 * _FRAME
    name = _truncate(entry.name, _font(17, bold=True), inside)
    draw.text((left + 2 * _FRAME, top + _FRAME + 2), name, font=_font(17, bold=True), fill=_INK)
    caption = _truncate(entry.caption, _font(14), inside)
    draw.text((left + 2 * _FRAME, top + _FRAME + 23), caption, font=_font(14), fill=mark if entry.mark else _FAINT)
    if entry.thumbnail:
        with Image.open(io.BytesIO(entry.thumbnail)) as thumbnail:
            page.paste(thumbnail, _planes_corner(left, top))
    else:
        middle = (left + _TILE_WIDTH // 2, top + _FRAME + _CAPTION + HEIGHT // 2)
        draw.text(middle, "cannot be read", font=_font(20), fill=_FAINT, anchor="mm")


def _truncate(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return the text, or its start followed by `…` if it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    for end in range(len(text), 0, -1):
        start = f"{text[:end]}…"
        if font.getlength(start) <= width:
            return start
    return "…"


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # This font comes with matplotlib, so it is on every machine, and it has Greek and Cyrillic letters.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)


def _rgb(color: Color) -> tuple[int, int, int]:
    red, green, blue = (int(255 * part) for part in color)
    return red, green, blue
