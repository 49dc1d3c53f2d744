"""Cases, where they come from, and who they belong to."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segment.datasets.annotation import Annotation
from segment.errors import UserError
from segment.io.left_out import LeftOut, grouped, line
from segment.io.read import read_ct
from segment.io.scan import Scan

log = logging.getLogger(__name__)

PARTS = ("train", "val", "test")  # of a split
SHOWN = 5  # refused cases that an error names


@dataclass(frozen=True)
class Case:
    """One CT of one patient with its reference.

    Attributes:
        id: `<source>/<name>`, unique in an experiment; what split.json and cases.csv call it.
        patient: `<source>/<patient>`; cases of one patient never sit in two splits.
        image: File of the CT, or folder of a DICOM series.
        label: What is drawn on it.
        group: What splits balance beside the source, such as the scanner or the hospital; may be empty.
        series: Which series of the folder, by its UID; None: the only one, or the axial CT with most slices.
        part: Where the data set's authors put the case, one of `PARTS`; empty where they do not say.
    """

    id: str
    patient: str
    image: Path
    label: Annotation
    group: str = ""
    part: str = ""
    series: str | None = None

    def read(self) -> Scan:
        """The CT in HU.

        Raises:
            UserError: As `read_ct`.
        """
        return read_ct(self.image, self.series)


Refused = list[tuple[str, UserError]]  # ids of cases that cannot be listed, or names of sources, and why


class Source(Protocol):
    """Anything that can list cases."""

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """Cases under the name that the configuration gives this source.

        Args:
            source: The name.
            refused: Takes the cases that cannot be listed, such as a CT without label, so that one bad case does not
                hide the others; None: the first of them raises.
        """

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """What lies in the source's folders and belongs to no case, neither to one of these nor to a refused one."""


def gather(sources: Mapping[str, Source], exclude: Sequence[str] = ()) -> list[Case]:
    """Cases of every source, in the order of the configuration; the log names what belongs to none of them.

    Args:
        sources: By the name that the configuration gives them.
        exclude: Ids of cases to leave out.

    Raises:
        UserError: When there is no source, options are set of one that is not chosen, there is no case of an id that
            is to be left out, or a case cannot be listed and is not left out.
    """
    _check_sources(sources)
    refused: Refused = []
    cases = []
    for name, source in sources.items():
        own = source.cases(name, refused)
        cases += own
        for group in grouped(source.left_out(own)):
            log.log(logging.INFO if group[0].is_expected else logging.WARNING, "%s: %s", name, line(group))
    cases, refused = _without(exclude, cases, refused)
    if refused:
        reasons = [str(error) for _, error in refused[:SHOWN]] + ["…"] * (len(refused) > SHOWN)
        count = f"{len(refused)} cases cannot be used; segment doctor lists all:\n  " if len(refused) > 1 else ""
        raise UserError(count + "\n  ".join(reasons))
    return cases


def inventory(sources: Mapping[str, Source], exclude: Sequence[str] = ()) -> tuple[list[Case], Refused]:
    """What `gather` lists, and the cases and whole sources that it refuses.

    Raises:
        UserError: When there is no source, options are set of one that is not chosen, or there is no case of an id that
            is to be left out.
    """
    _check_sources(sources)
    cases: list[Case] = []
    refused: Refused = []
    for name, source in sources.items():
        try:
            cases += source.cases(name, refused)
        except UserError as error:
            refused.append((name, error))
    return _without(exclude, cases, refused)


def _check_sources(sources: Mapping[str, Source]) -> None:
    if not sources:
        msg = "no data set chosen; add one, e.g. data=phantom or data=flare22"
        raise UserError(msg)
    for name, source in sources.items():
        if isinstance(source, Mapping):  # without a _target_ it stayed plain configuration
            options = ", ".join(f"data.sources.{name}.{key}" for key in source)
            msg = f"{options} set, but the data set {name} is not chosen; add it to data=[…] or leave its options out"
            raise UserError(msg)


def _without(exclude: Sequence[str], cases: Sequence[Case], refused: Refused) -> tuple[list[Case], Refused]:
    ids = [*(case.id for case in cases), *(name for name, _ in refused)]
    if unknown := set(exclude) - set(ids):
        msg = f"data.exclude names {min(unknown)!r}, but there is no such case; the first is {ids[0]!r}"
        raise UserError(msg)
    return [case for case in cases if case.id not in exclude], [one for one in refused if one[0] not in exclude]


def of_one_patient(cases: Iterable[Case]) -> dict[str, str]:
    """By id of every case whose patient has several: the first of these, so that patients need no name."""
    ids: dict[str, set[str]] = {}
    for case in cases:
        ids.setdefault(case.patient, set()).add(case.id)
    return {name: min(same) for same in ids.values() if len(same) > 1 for name in sorted(same)}
