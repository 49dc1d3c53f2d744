"""Cases and the sources that list them."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from segment.datasets.annotation import Annotation
from segment.datasets.annotation_files import LabelFile
from segment.errors import UserError
from segment.io.left_out import LeftOut, describe_group, group_by_reason
from segment.io.read import read_ct
from segment.io.scan import Scan
from segment.phantom.tissues import CODES

log = logging.getLogger(__name__)

PARTS = ("train", "val", "test")  # of a split
_SEPARATOR = re.compile(r", (?=[^/,]+/)")  # between ids; an id may hold a comma itself
SHOWN = 5  # refused cases that an error names


@dataclass(frozen=True)
class Case:
    """One CT of one patient with its reference.

    Attributes:
        id: `<source>/<name>`, unique in an experiment; the name of the case in split.json and cases.csv.
        patient: `<source>/<patient>`; all cases of a patient are in the same part of a split.
        image: File of the CT, or folder of a DICOM series.
        label: Its annotation.
        group: Scanner, hospital or the like. Splits balance it in addition to the source. May be empty.
        series: UID of the series in the folder; None: the only series, or the axial CT with most slices.
        part: The part to which the data set's authors assign the case, one of `PARTS`; empty if they assign none.
        tissues: File of its tissue map: the tissue of every voxel of the CT, by the codes of
            `segment.phantom.tissues`. None: there is none, as for every real CT.
        made_from: The case from whose label map this synthetic one was made; the patient is the same. Such a case only
            trains, and only if the patient neither validates nor tests. None: it was not made from a label map.
    """

    id: str
    patient: str
    image: Path
    label: Annotation
    group: str = ""
    part: str = ""
    series: str | None = None
    tissues: Path | None = None
    made_from: "Case | None" = None

    def read(self) -> Scan:
        """Read the CT in HU.

        Raises:
            UserError: As `read_ct`.
        """
        return read_ct(self.image, self.series)

    def read_tissues(self, scan: Scan) -> np.ndarray | None:
        """Read the tissue map: codes (I,J,K) uint8 on the CT's grid, or None if there is none.

        Args:
            scan: The CT.

        Raises:
            UserError: When the file cannot be read, is on another grid or holds a code that is no tissue's.
        """
        if self.tissues is None:
            return None
        names = list(CODES)[1:]  # as classes, they get the numbers that are their codes
        label = LabelFile(self.tissues, {name: CODES[name] for name in names}, named_in="segment/phantom/tissues.py")
        return label.read(scan, self.image, names)


Refused = list[tuple[str, UserError]]  # (id of a case that cannot be listed or name of a source, reason)


class Source(Protocol):
    """Anything that can list cases."""

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """List the cases.

        Args:
            source: The name that the configuration gives this source.
            refused: Receives the cases that cannot be listed, for example a CT without label, so one bad case does
                not hide the others. None: the first such case raises.
        """

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Files in the source's folders that belong neither to one of these cases nor to a refused case."""


@runtime_checkable
class DerivingSource(Source, Protocol):
    """A source that makes cases from those of the other sources of the experiment."""

    def derive(self, source: str, cases: Sequence[Case], refused: Refused | None = None) -> list[Case]:
        """Return the cases to use: the given ones, perhaps without some, and those made from them.

        Args:
            source: The name that the configuration gives this source.
            cases: The cases of all sources, without those that the user excludes.
            refused: As in `Source.cases`.
        """


def split_ids(text: str) -> list[str]:
    """The ids in a text that joins them by commas: `set/Doe, Jane, set/2` has `set/Doe, Jane` and `set/2`."""
    return _SEPARATOR.split(text)


def list_cases(sources: Mapping[str, Source], exclude: Sequence[str] = ()) -> list[Case]:
    """List the cases of every source, in the order of the configuration, and log the files that belong to no case.

    Args:
        sources: By the name that the configuration gives them.
        exclude: Ids of cases to leave out.

    Raises:
        UserError: When there is no source, an option belongs to a source that is not chosen, an excluded id does not
            exist, or a case cannot be listed and is not excluded.
    """
    _check_sources(sources)
    refused: Refused = []
    cases = []
    for name, source in sources.items():
        cases_of_source = source.cases(name, refused)
        cases += cases_of_source
        for group in group_by_reason(source.left_out(cases_of_source)):
            level = logging.INFO if group[0].is_expected else logging.WARNING
            log.log(level, "%s: %s", name, describe_group(group))
    for name, source in sources.items():
        cases = _derive(name, source, cases, exclude, refused)
    cases, refused = _without(exclude, cases, refused)
    if refused:
        reasons = [str(error) for _, error in refused[:SHOWN]]
        if len(refused) > SHOWN:
            reasons.append("…")
        count = f"{len(refused)} cases cannot be used; segment doctor lists all:\n  " if len(refused) > 1 else ""
        raise UserError(count + "\n  ".join(reasons))
    return cases


def list_usable_cases(sources: Mapping[str, Source], exclude: Sequence[str] = ()) -> tuple[list[Case], Refused]:
    """List the cases as `list_cases` does, and return the refused cases and sources instead of raising.

    Raises:
        UserError: When there is no source, an option belongs to a source that is not chosen, or an excluded id does not
            exist.
    """
    _check_sources(sources)
    cases: list[Case] = []
    refused: Refused = []
    for name, source in sources.items():
        try:
            cases += source.cases(name, refused)
        except UserError as error:
            refused.append((name, error))
    for name, source in sources.items():
        try:
            cases = _derive(name, source, cases, exclude, refused)
        except UserError as error:
            refused.append((name, error))
    return _without(exclude, cases, refused)


def patient_aliases(cases: Iterable[Case]) -> dict[str, str]:
    """Alias of every patient with several cases, by case id: the id of the patient's first case.

    The aliases are used in files that must not contain patients' names.
    """
    ids: dict[str, set[str]] = {}
    for case in cases:
        ids.setdefault(case.patient, set()).add(case.id)
    aliases = {}
    for of_patient in ids.values():
        if len(of_patient) > 1:
            for case_id in sorted(of_patient):
                aliases[case_id] = min(of_patient)
    return aliases


def _check_sources(sources: Mapping[str, Source]) -> None:
    if not sources:
        msg = "no data set chosen; add one, e.g. data=phantom or data=flare22"
        raise UserError(msg)
    for name, source in sources.items():
        if isinstance(source, Mapping):  # options alone: without a _target_ no source was built
            options = ", ".join(f"data.sources.{name}.{key}" for key in source)
            msg = f"{options} set, but the data set {name} is not chosen; add it to data=[…] or leave its options out"
            raise UserError(msg)


def _derive(name: str, source: Source, cases: list[Case], exclude: Sequence[str], refused: Refused) -> list[Case]:
    """The cases after a source has made others from those that are not excluded."""
    if not isinstance(source, DerivingSource):
        return cases
    excluded = [case for case in cases if case.id in exclude]
    return [*excluded, *source.derive(name, [case for case in cases if case.id not in exclude], refused)]


def _without(exclude: Sequence[str], cases: Sequence[Case], refused: Refused) -> tuple[list[Case], Refused]:
    ids = [*(case.id for case in cases), *(name for name, _ in refused)]
    unknown = set(exclude) - set(ids)
    if unknown:
        msg = f"data.exclude names {min(unknown)!r}, but there is no such case; the first is {ids[0]!r}"
        raise UserError(msg)
    kept = [case for case in cases if case.id not in exclude]
    return kept, [(name, error) for name, error in refused if name not in exclude]
