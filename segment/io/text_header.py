"""What the text at the start of an NRRD or MetaImage file states of its geometry.

ITK, which reads these files, takes 1 mm for a spacing and LPS for directions that are not stated, drops the sign of a
spacing, passes over units, and takes NRRD's spaces with time for LPS. Formats: teem.sourceforge.net/nrrd/format.html,
itk.org/Wiki/MetaIO/Documentation.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segment.errors import UserError

LONGEST = 1 << 20  # bytes of a text header
LPS = (-1.0, -1.0, 1.0)  # signs that turn ITK's world into RAS+
_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior")
_ORIENTED = (*_SPACES, "lps", "ras", "las")
# ITK turns these spaces into LPS only where they have no time.
_LEFT_TO_US = {"right-anterior-superior-time": (1.0, 1.0, 1.0), "left-anterior-superior-time": (-1.0, 1.0, 1.0)}
_WITH_TIME = {"lpst": f"{_SPACES[0]}-time", "rast": f"{_SPACES[1]}-time", "last": f"{_SPACES[2]}-time"}
_OTHER_UNITS = re.compile(
    r"(?!mm$|milli)(\w*met(er|re)s?|microns?|[cdnu]?m|[^\x00-\x7f]m|in|inch(es)?)$", re.IGNORECASE
)
_UNSTATED = np.full((3, 3), np.nan)


@dataclass(frozen=True)
class Stated:
    """Geometry as the text has it.

    Attributes:
        axes_mm: (3,3) from voxel to voxel along I, J, K, as columns, in whatever world; NaN where nothing is stated.
            None for a header that is none, or of fewer dimensions: ITK says what is wrong with these.
        spacing_mm: (3,) voxel sizes, with their signs.
        is_oriented: Whether the world is the body's.
        to_ras: Signs that turn the world, as ITK gives it, into RAS+.
    """

    axes_mm: np.ndarray | None = None
    spacing_mm: np.ndarray | None = None
    is_oriented: bool = False
    to_ras: tuple[float, float, float] = LPS


def stated(path: Path) -> Stated:
    """Read the text header of a file.

    Raises:
        UserError: When lengths are given in another unit than mm.
    """
    with path.open("rb") as file:
        content = file.read(LONGEST)
    if content.startswith(b"NRRD"):
        return _of_nrrd(path, _fields(content, b"\n\n", ":"))
    return _of_metaimage(path, _fields(content, b"ElementDataFile", "="))


def _fields(content: bytes, end: bytes, sign: str) -> Mapping[str, str]:
    """Fields by name, in lower case; none of a header that has no end."""
    text, found, _ = content.replace(b"\r\n", b"\n").partition(end)
    lines = text.decode(errors="replace").splitlines() if found else []
    pairs = (line.partition(sign) for line in lines)
    return {name.strip().lower(): value.strip() for name, is_field, value in pairs if is_field}


def _of_nrrd(path: Path, fields: Mapping[str, str]) -> Stated:
    if int(fields.get("dimension", 0)) < 3:
        return Stated()
    _check_units(path, re.findall(r'"([^"]*)"', fields.get("space units", "") + fields.get("units", "")))
    space = fields.get("space", "").lower()
    space = _WITH_TIME.get(space, space)
    is_oriented = space.removesuffix("-time") in _ORIENTED
    vectors = [_numbers(each)[:3] for each in re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))]
    spacings = [
        number for number in _numbers(fields.get("spacings", "")) if not np.isnan(number)
    ]  # NaN: no space there
    if not vectors and len(spacings) >= 3:  # without directions, whatever the space
        return Stated(np.diag(spacings[:3]), np.array(spacings[:3]))
    axes_mm = np.array(vectors[:3]).T if len(vectors) >= 3 else _UNSTATED
    return Stated(axes_mm, np.linalg.norm(axes_mm, axis=0), is_oriented, _LEFT_TO_US.get(space, LPS))


def _of_metaimage(path: Path, fields: Mapping[str, str]) -> Stated:
    if int(fields.get("ndims", 0)) < 3:
        return Stated()
    _check_units(path, [fields.get("distanceunits", "")])
    count = int(fields["ndims"])
    sizes = _numbers(fields.get("elementspacing", fields.get("elementsize", "")))[:3]
    spacing_mm = np.array(sizes) if len(sizes) == 3 else np.full(3, np.nan)
    matrix = next((fields[name] for name in ("transformmatrix", "rotation", "orientation") if name in fields), "")
    rows = _numbers(matrix)
    directions = np.reshape(rows, (count, count))[:3, :3].T if len(rows) == count**2 else np.eye(3)
    # Without a matrix ITK takes the identity, which the letters RAI, where the axes come from, confirm.
    is_oriented = bool(rows) or fields.get("anatomicalorientation", "").upper()[:3] == "RAI"
    return Stated(directions * spacing_mm, spacing_mm, is_oriented)


def _check_units(path: Path, units: Sequence[str]) -> None:
    if other := next((unit for unit in units if _OTHER_UNITS.match(unit.strip())), None):
        msg = f"{path} gives its geometry in {other!r}; convert its spacing, origin and units to mm"
        raise UserError(msg)


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace(",", " ").split()]
