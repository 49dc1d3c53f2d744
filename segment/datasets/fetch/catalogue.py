"""Entries of the catalogue of public data sets in `segment/datasets/catalogue/`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from segment.errors import UserError

FOLDER = Path(__file__).parents[1] / "catalogue"  # one file for each set
DIGEST = {"sha256": 64, "md5": 32}  # hexadecimal digits


@dataclass(frozen=True)
class PublicFile:
    """A file to download, or a series of numbered files.

    Attributes:
        url: http or https. `{number}` is replaced by each number; `{number:05d}` pads it with zeros.
        name: Path in the data set's folder; it may contain `{number}`. Empty: the last part of the URL.
        size: Bytes; None: no published value was found.
        sha256: Hexadecimal; None: no published value was found.
        md5: Hexadecimal; None: no published value was found.
        checksum_from: Who published the checksum; required with a checksum.
        unpacks_to: Folder in the data set's folder to unpack the archive to; None: the file is not an archive, or the
            user must unpack it.
        numbers: Pairs of a first and a last number.
    """

    url: str
    name: str = ""
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    checksum_from: str | None = None
    unpacks_to: str | None = None
    numbers: Sequence[tuple[int, int]] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", unquote(PurePosixPath(urlsplit(self.url).path).name))
        for path in (self.name, self.unpacks_to or "folder"):
            if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                _refuse(self.url, f"has the path {path!r}; give a path below the data set's folder")
        for kind, digits in DIGEST.items():
            value = getattr(self, kind)
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                _refuse(self.url, f"has the {kind} {value!r}; give {digits} hexadecimal digits in lower case")
        if (self.sha256 or self.md5) and not self.checksum_from:
            _refuse(self.url, "has a checksum of unknown origin; state in checksum_from who published it")

    def each(self) -> Iterator["PublicFile"]:
        """Yield one file for every number; the file itself if there are no numbers."""
        if not self.numbers:
            yield self
        for first, last in self.numbers:
            for number in range(first, last + 1):
                url = self.url.format(number=number)
                name = self.name.format(number=number)
                yield replace(self, url=url, name=name, numbers=())


@dataclass(frozen=True)
class PublicSet:
    """A public data set.

    Attributes:
        title: Its name, as its authors write it.
        cases: Number of labelled CTs.
        size_gb: Size of the download in 10^9 bytes; None: no published value was found.
        max_unpacked_gb: Largest size of one unpacked archive. We chose this limit as a protection against archives
            that are made to fill the disk.
        homepage: URL of its description.
        licences: Every statement about the licence that was found, with its author. They may differ.
        consent: Whether the user must agree to the terms.
        citation: The paper, with its DOI.
        layout: Notes about the files. `conf/data/` defines how they are read.
        files: Files that can be downloaded without an account.
        steps: What the user must do, in order, before `data.sources.<set>.root=` can name the folder; empty: nothing.
    """

    title: str
    cases: int
    size_gb: float | None
    max_unpacked_gb: float
    homepage: str
    licences: Sequence[str]
    consent: bool
    citation: str
    layout: str
    files: Sequence[PublicFile] = ()
    steps: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.files and not self.steps:
            _refuse(self.title, "has neither files nor steps; state how to get it")
        if not self.licences:
            _refuse(self.title, "has no licence; state at least that none was found")


def notice(entry: PublicSet) -> str:
    """Text to read before using a set: licences, citation, origin of the checksums and steps to do by hand."""
    lines = [f"{entry.title}: {entry.cases} labelled CTs, {entry.homepage}", "Licence:"]
    lines += [f"  - {statement}" for statement in entry.licences]
    if len(entry.licences) > 1:
        lines.append("  These statements differ; you must decide which of them applies to you.")
    lines.append(f"Cite: {entry.citation}")
    publishers = {file.checksum_from for file in entry.files if file.checksum_from}
    lines += [f"Checksum by: {name}" for name in sorted(publishers)]
    if not all(file.checksum_from for file in entry.files):
        lines.append(
            "No checksum is published: later downloads are compared with the first, which may itself be wrong."
        )
    if entry.steps:
        lines.append("By hand:")
        lines += [f"  {number}. {step}" for number, step in enumerate(entry.steps, start=1)]
    return "\n".join(lines)


def _refuse(what: str, why: str) -> None:
    msg = f"catalogue: {what} {why}"
    raise UserError(msg)
