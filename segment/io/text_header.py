"""Read the geometry stated in the text header of an NRRD or MetaImage file.

ITK reads these files, but silently corrects or ignores some of the geometry. It assumes a spacing of 1 mm and LPS
directions if none are stated, drops the sign of a spacing, ignores units, and reads NRRD's spaces with time as LPS.

Formats: teem.sourceforge.net/nrrd/format.html, itk.org/Wiki/MetaIO/Documentation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segment.errors import UserError
from segment.io.printable import printable

MAX_HEADER_BYTES = 1 << 20
LPS = (-1.0, -1.0, 1.0)  # signs that convert ITK's world to RAS+
_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior")
_ORIENTED = (*_SPACES, "lps", "ras", "las")
# ITK converts these spaces to LPS only if they have no time. With time, these signs are needed instead of `LPS`.
_SIGNS_WITH_TIME = {"right-anterior-superior-time": (1.0, 1.0, 1.0), "left-anterior-superior-time": (-1.0, 1.0, 1.0)}
_LONG_NAMES = {"lpst": f"{_SPACES[0]}-time", "rast": f"{_SPACES[1]}-time", "last": f"{_SPACES[2]}-time"}
_OTHER_UNITS = re.compile(
    r"(?!mm$|milli)(\w*met(er|re)s?|microns?|[cdnu]?m|[^\x00-\x7f]m|in|inch(es)?)$", re.IGNORECASE
)
_UNSTATED = np.full((3, 3), np.nan)


@dataclass(frozen=True)
class TextHeader:
    """Geometry as stated in the text.

    Attributes:
        axes_mm: (3,3) vectors from voxel to voxel along I, J and K, as columns, in the file's own world. NaN if not
            stated. None if there is no valid header or it has fewer than three dimensions; ITK then reports the error.
        spacing_mm: (3,) voxel sizes, with their signs.
        is_oriented: Whether the file's world is related to the body.
        to_ras: Signs that convert the world, as ITK gives it, to RAS+.
        fields: All fields by name in lower case.
        end: Where the header ends, in bytes.
    """

    axes_mm: np.ndarray | None = None
    spacing_mm: np.ndarray | None = None
    is_oriented: bool = False
    to_ras: tuple[float, float, float] = LPS
    fields: Mapping[str, str] = field(default_factory=dict)
    end: int = 0

    @property
    def is_nrrd(self) -> bool:
        """Whether it is the header of an NRRD file, which states its encoding."""
        return "encoding" in self.fields


def read_text_header(path: Path) -> TextHeader:
    """Read the text header of a file.

    Raises:
        UserError: When lengths are in another unit than mm.
    """
    with path.open("rb") as file:
        content = file.read(MAX_HEADER_BYTES)
    if content.startswith(b"NRRD"):
        fields, parse, end = _fields(content, b"\n\n", ":"), _parse_nrrd, re.search(rb"\n\r?\n", content)
    else:
        fields, parse = _fields(content, b"ElementDataFile", "="), _parse_metaimage
        end = re.search(rb"ElementDataFile *= *LOCAL *\r?\n", content)
    return replace(parse(path, fields), fields=fields, end=end.end() if end else 0)


def _fields(content: bytes, end: bytes, separator: str) -> Mapping[str, str]:
    """Return the fields of a header by name in lower case. Return none if the header has no end."""
    text, found, _ = content.replace(b"\r\n", b"\n").partition(end)
    fields: dict[str, str] = {}
    if not found:
        return fields
    for line in text.decode(errors="replace").splitlines():
        name, is_field, value = line.partition(separator)
        if is_field:
            fields[name.strip().lower()] = value.strip()
    return fields


def _parse_nrrd(path: Path, fields: Mapping[str, str]) -> TextHeader:
    if int(fields.get("dimension", 0)) < 3:
        return TextHeader()
    _check_units(path, re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", "")))
    space = fields.get("space", "").lower()
    space = _LONG_NAMES.get(space, space)
    is_oriented = space.removesuffix("-time") in _ORIENTED
    vectors = [_numbers(text)[:3] for text in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))]
    spacings = [mm for mm in _numbers(fields.get("spacings", "")) if not np.isnan(mm)]  # NaN: not an axis in space
    if not vectors and len(spacings) >= 3:  # no directions, whatever the space
        return TextHeader(np.diag(spacings[:3]), np.array(spacings[:3]))
    axes_mm = np.array(vectors[:3]).T if len(vectors) >= 3 else _UNSTATED
    return TextHeader(axes_mm, np.linalg.norm(axes_mm, axis=0), is_oriented, _SIGNS_WITH_TIME.get(space, LPS))


def _parse_metaimage(path: Path, fields: Mapping[str, str]) -> TextHeader:
    if int(fields.get("ndims", 0)) < 3:
        return TextHeader()
    _check_units(path, [fields.get("distanceunits", "")])
    count = int(fields["ndims"])
    sizes = _numbers(fields.get("elementspacing", fields.get("elementsize", "")))[:3]
    spacing_mm = np.array(sizes) if len(sizes) == 3 else np.full(3, np.nan)
    matrix = next((fields[name] for name in ("transformmatrix", "rotation", "orientation") if name in fields), "")
    rows = _numbers(matrix)
    directions = np.reshape(rows, (count, count))[:3, :3].T if len(rows) == count**2 else np.eye(3)
    # Without a matrix ITK assumes the identity. The letters RAI, which say where the axes start, mean the same.
    is_oriented = bool(rows) or fields.get("anatomicalorientation", "").upper()[:3] == "RAI"
    return TextHeader(directions * spacing_mm, spacing_mm, is_oriented)


def _check_units(path: Path, units: Sequence[str]) -> None:
    for unit in units:
        if _OTHER_UNITS.match(unit.strip()):
            msg = f"{path} states its geometry in {printable(unit)!r}; convert its spacing, origin and units to mm"
            raise UserError(msg)


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace(",", " ").split()]
