"""What is known of a public data set: facts that `segment/datasets/catalogue/` states, with their sources."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from segment.errors import UserError

FOLDER = Path(__file__).parents[1] / "catalogue"  # a file for each set
DIGEST = {"sha256": 64, "md5": 32}  # hexadecimal digits


@dataclass(frozen=True)
class PublicFile:
    """A file to download, or one for every number.

    Attributes:
        url: http or https; `{number}` stands for each of the numbers, formatted as in `{number:05d}`.
        name: Path below the data set's folder; empty: the end of the URL. May hold `{number}` too.
        size: Bytes; None: not found published.
        sha256: Hexadecimal; None: not found published.
        md5: Hexadecimal; None: not found published.
        checksum_from: Who published the checksum; needed with one.
        unpacks_to: Folder below the data set's folder for what the archive holds; None: it is not an archive, or has to
            be unpacked by hand.
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
                _refuse(self.url, f"is to lie at {path!r}; give a path below the data set's folder")
        for kind, digits in DIGEST.items():
            value = getattr(self, kind)
            if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
                _refuse(self.url, f"has the {kind} {value!r}; give {digits} hexadecimal digits in lower case")
        if (self.sha256 or self.md5) and not self.checksum_from:
            _refuse(self.url, "has a checksum of nobody; say in checksum_from who published it")

    def each(self) -> Iterator["PublicFile"]:
        """The files, one for every number; itself without numbers."""
        if not self.numbers:
            yield self
        for first, last in self.numbers:
            for number in range(first, last + 1):
                url, name = (text.format(number=number) for text in (self.url, self.name))
                yield replace(self, url=url, name=name, numbers=())


@dataclass(frozen=True)
class PublicSet:
    """A public data set.

    Attributes:
        title: Its name, as its authors write it.
        cases: Labelled CTs.
        size_gb: To download, in 10^9 bytes; None: not found published.
        max_unpacked_gb: What one archive may unpack to: a limit of ours against archives made to fill the disk.
        homepage: Where it is described.
        licences: Every statement that was found, with who makes it: they may differ.
        consent: Whether the terms need the user's own agreement.
        citation: The paper, with its DOI.
        layout: What one has to know about the files; `conf/data/` says how to read them.
        files: What can be downloaded without an account.
        steps: What has to be done by hand, in order, before `data.sources.<set>.root=` can name the
            folder; empty: nothing.
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
            _refuse(self.title, "has neither files nor steps; say how it can be had")
        if not self.licences:
            _refuse(self.title, "has no licence; say at least that none was found")


def notice(entry: PublicSet) -> str:
    """What a user has to read before using a set: licence, citation, who vouches for its files, what to do by hand."""
    lines = [f"{entry.title}: {entry.cases} labelled CTs, {entry.homepage}", "Licence:"]
    lines += [f"  - {statement}" for statement in entry.licences]
    if len(entry.licences) > 1:
        lines.append("  These statements differ; which of them binds you is yours to decide.")
    lines.append(f"Cite: {entry.citation}")
    lines += [f"Checksum by: {name}" for name in sorted({file.checksum_from or "" for file in entry.files} - {""})]
    if not all(file.checksum_from for file in entry.files):
        lines.append(
            "No checksum is published: later downloads are compared to the first one, which is no proof of it."
        )
    if entry.steps:
        lines.append("By hand:")
        lines += [f"  {number}. {step}" for number, step in enumerate(entry.steps, start=1)]
    return "\n".join(lines)


def _refuse(what: str, why: str) -> None:
    msg = f"catalogue: {what} {why}"
    raise UserError(msg)
