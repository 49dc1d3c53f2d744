"""Assembles a page: one HTML file with its style, its scripts and its data, which requests nothing."""

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from segment import __version__
from segment.files import write_text
from segment.io.json_file import plain_json
from segment.privacy import without_paths

PAGE = "index.html"  # name of the page in the folder that it shows
GENERATOR = '<meta name="generator" content="segment view'  # by which `is_page` recognises a page
_SCRIPTS = (
    "elements.js",
    "inflate.js",
    "volume.js",
    "contours.js",
    "gestures.js",
    "plane.js",
    "turntable.js",
    "painter.js",
    "surfaces.js",
    "slices.js",
    "viewer.js",
    "charts.js",
    "sortable.js",
    "parallel.js",
    "prediction.js",
    "run.js",
    "sweep.js",
    "comparison.js",
    "curve.js",
    "rank.js",
    "dataset.js",
    "start.js",
)


def write_page(path: Path, title: str, data: Mapping[str, Any], blobs: Mapping[str, str]) -> None:
    """Write a page. The write is atomic.

    Args:
        path: The file.
        title: Title of the page.
        data: Plain values for its scripts; absolute paths in them are shortened. NaN and infinity become null.
        blobs: Base64 by id, e.g. packed volumes.
    """
    write_text(path, page(title, data, blobs))


def page(title: str, data: Mapping[str, Any], blobs: Mapping[str, str]) -> str:
    """The text of a page; see `write_page`.

    Text reaches the page in two ways: the title, escaped, and the data, as JSON in which `<` is written as an escape,
    so that no text can end the element. Scripts write it with `textContent` only. A content security policy with the
    hashes of the style and the script forbids all others, and all requests.
    """
    style = _asset("style.css")
    # A function of its own, because some names, e.g. `name`, are properties of the window.
    script = "\n".join(["(() => {", "'use strict';", *map(_asset, _SCRIPTS), "})();"])
    plain = plain_json(without_paths(dict(data) | {"version": __version__}))
    packed = "\n".join(
        f'<script type="text/plain" id="{escape(name)}">{_checked(text)}</script>' for name, text in blobs.items()
    )
    return Template(_asset("page.html")).substitute(
        version=escape(__version__),
        policy=_policy(style, script),
        title=escape(_writable(without_paths(title))),
        style=style,
        data=_json(plain),
        blobs=packed,
        script=script,
    )


def is_page(path: Path) -> bool:
    """Whether a file was written by `write_page`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return GENERATOR in file.read(4000)


def _asset(name: str) -> str:
    return (resources.files("segment.view.page") / "assets" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    rules = (
        "default-src 'none'",
        f"script-src {source(script)}",
        f"style-src {source(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def link_below(page: Path, target: Path) -> str | None:
    """Address of a file from a page; None if there is no file, or if it does not lie below the folder of the page.

    Any other path would contain folders of this machine.
    """
    top, found = page.resolve().parent, target.resolve()
    return quote(found.relative_to(top).as_posix()) if found.exists() and found.is_relative_to(top) else None


def _json(value: Any) -> str:  # noqa: ANN401
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _writable(text).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _writable(text: str) -> str:
    """The text with `?` for each byte of a file name that is not UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _checked(text: str) -> str:
    if "<" in text:
        msg = "a blob must be base64"
        raise ValueError(msg)
    return text
