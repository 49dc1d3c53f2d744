"""The page of a data set that `segment doctor` has inspected: its cases, to be filtered by what was found."""

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from segment.datasets.cases import split_ids
from segment.errors import UserError
from segment.io.json_file import read_json
from segment.view.page.document import write_page
from segment.view.page.prediction import organ_entries
from segment.view.page.scan import Blobs

FINDINGS = "findings.json"
_CONTENTS = "sheet.json"
_QUALITY = 78  # of WebP
_MAX_SHARP = 300  # cases; with more, pictures have half the size, so that the page stays below about 10 MB
_LIMIT = 2000  # cases with a picture


def write_data_set_page(path: Path, folder: Path) -> None:
    """Write the page of a data set.

    Args:
        path: The page.
        folder: What `segment doctor` wrote: findings.json, and sheet.json with the sheets that it names.

    Raises:
        UserError: When a file is missing or damaged.
    """
    blobs = Blobs()
    found = read_json(folder / FINDINGS)
    contents = read_json(folder / _CONTENTS) if (folder / _CONTENTS).exists() else {"organs": [], "cases": []}
    title = f"Data set {folder.resolve().name}"
    try:
        findings = [dict(finding) for finding in found["findings"]]
        cases = _cases(folder, contents["cases"], findings, blobs)
        data = {
            "kind": "dataset",
            "title": title,
            "subtitle": _subtitle(found),
            "notes": _notes(cases),
            "organs": organ_entries(contents["organs"]),
            "findings": findings,
            "cases": cases,
        }
    except (KeyError, TypeError, ValueError, OSError) as error:
        msg = f"{folder} lacks a part of what segment doctor writes ({error}); run segment doctor again"
        raise UserError(msg) from error
    write_page(path, title, data, blobs.texts)


def _subtitle(found: Mapping[str, Any]) -> str:
    counts = [f"{found[f'{severity}s']} {severity}{'s' * (found[f'{severity}s'] != 1)}" for severity in _SEVERITIES]
    return f"{found['cases']} case{'s' * (found['cases'] != 1)}; {', '.join(counts)}"


_SEVERITIES = ("error", "warning", "note")


def _notes(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    if sum(case["picture"] is not None for case in cases) < _LIMIT:
        return []
    return [f"The page has the pictures of the first {_LIMIT} cases; the others are on the sheets beside it."]


def _cases(
    folder: Path, contents: Sequence[Mapping[str, Any]], findings: Sequence[Mapping[str, Any]], blobs: Blobs
) -> list[dict[str, Any]]:
    """The cases: name, picture, and indices of findings; those with the worst findings first.

    A case of which no picture was tried, because its files could not be used, is known from its findings. A finding
    about a source or the whole set belongs to no case.
    """
    own: dict[str, list[int]] = {str(entry["case"]): [] for entry in contents}
    for index, finding in enumerate(findings):
        for name in split_ids(str(finding["case"])):
            if name in own or "/" in name:  # ids of cases are <source>/<case>
                own.setdefault(name, []).append(index)
    pictures = dict(_pictures(folder, contents, blobs))
    cases = [{"name": name, "picture": pictures.get(name), "findings": indices} for name, indices in own.items()]
    return sorted(cases, key=lambda case: _rank([findings[index]["severity"] for index in case["findings"]]))


def _rank(severities: Sequence[str]) -> list[int]:
    """Sort key: more errors first, then more warnings, then more notes."""
    counts = Counter(severities)
    return [-counts[severity] for severity in _SEVERITIES]


def _pictures(folder: Path, contents: Sequence[Mapping[str, Any]], blobs: Blobs) -> Iterator[tuple[str, str]]:
    """Name and picture of every case that the sheets show; each sheet is opened once."""
    shown = [entry for entry in contents if entry["box"]][:_LIMIT]
    shrink = 1 if len(shown) <= _MAX_SHARP else 2
    name, sheet = None, None
    for entry in shown:
        if entry["sheet"] != name or sheet is None:
            name = entry["sheet"]
            with Image.open(folder / Path(str(name)).name) as opened:
                sheet = opened.convert("RGB")
        yield str(entry["case"]), blobs.add(_webp(sheet.crop(entry["box"]), shrink))


def _webp(picture: Image.Image, shrink: int) -> str:
    """A picture as base64 of WebP."""
    small = picture.reduce(shrink) if shrink > 1 else picture
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode()
