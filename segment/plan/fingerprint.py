"""The fingerprint of a data set: the numbers that a plan depends on."""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.data.store.facts import CaseFacts
from segment.errors import UserError

THICK = 2.0  # a CT has thick slices if they are this many times thicker than its pixels are wide
LOW, HIGH = 10, 90  # percentiles over cases that describe the spread

Axes = tuple[float, ...]


@dataclass(frozen=True)
class OrganFacts:
    """How often and how large an organ is.

    Attributes:
        annotated: Cases in which it is annotated.
        shown: Cases that show it.
        smallest_ml: Its smallest volume where no border of the CT cuts it; None if there is none.
        median_ml: Its median volume there; None if there is none.
    """

    annotated: int
    shown: int
    smallest_ml: float | None = None
    median_ml: float | None = None


@dataclass(frozen=True)
class Fingerprint:
    """The numbers that a plan depends on, over the CTs that train or validate. Axes are R, A, S.

    Attributes:
        name: Name of the data set.
        cases: Labelled CTs.
        patients: Patients.
        organs: Facts by organ, in the order of the classes.
        spacing_mm: Median voxel size.
        spacing_low_mm: Voxel size of the finest tenth of the CTs, for each axis.
        spacing_high_mm: Voxel size of the coarsest tenth.
        shape: Median number of voxels.
        extent_mm: Median size of the field of view.
        thick: Share of the CTs with thick slices; None: not known.
        partial: Cases in which some organ is not annotated.
        with_tissues: Cases with a tissue map, those of `made` included.
        organ_hu: HU below and above which the organs have half a percent of their voxels, in the darkest and brightest
            twentieth of the CTs; None: not known.
        body_hu: Percentiles of HU in the body, evenly spaced, mean over the CTs; None: not known.
        test_patients: Further patients, who test; None: not known, and some of the CTs will test.
        made: Further CTs, synthesised from label maps. They only train, so the other numbers, except `with_tissues`, do
            not describe them.
    """

    name: str
    cases: int
    patients: int
    organs: Mapping[str, OrganFacts]
    spacing_mm: Axes
    spacing_low_mm: Axes
    spacing_high_mm: Axes
    shape: Axes
    extent_mm: Axes
    thick: float | None = None
    partial: int = 0
    with_tissues: int = 0
    organ_hu: tuple[float, float] | None = None
    body_hu: Axes | None = None
    test_patients: int | None = None
    made: int = 0

    @property
    def all_patients(self) -> int:
        """Patients, with those who test as far as they are known."""
        return self.patients + (self.test_patients or 0)

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def make_fingerprint(
    name: str,
    facts: Sequence[CaseFacts],
    patients: int,
    organs: Sequence[str],
    with_tissues: int,
    test_patients: int | None = None,
    made: int = 0,
) -> Fingerprint:
    """Summarise the facts of all cases, at least one; for the other arguments, see `Fingerprint`."""
    spacings = np.array([case.spacing_mm for case in facts])
    shapes = np.array([case.shape for case in facts])
    in_organs = [case.organ_hu for case in facts if case.organ_hu]
    in_body = [case.body_hu for case in facts if case.body_hu]
    thickness = spacings[:, 2] / spacings[:, :2].max(axis=1)
    return Fingerprint(
        name=name,
        cases=len(facts),
        patients=patients,
        organs={organ: _organ(organ, facts) for organ in organs},
        spacing_mm=_axes(np.median(spacings, axis=0)),
        spacing_low_mm=_axes(np.percentile(spacings, LOW, axis=0)),
        spacing_high_mm=_axes(np.percentile(spacings, HIGH, axis=0)),
        shape=_axes(np.median(shapes, axis=0)),
        extent_mm=_axes(np.median(spacings * shapes, axis=0)),
        thick=round(float(np.mean(thickness >= THICK)), 3),
        partial=sum(not _annotates_all(case, organs) for case in facts),
        with_tissues=with_tissues,
        organ_hu=_organ_hu(in_organs) if in_organs else None,
        body_hu=_axes(np.mean(in_body, axis=0)) if in_body else None,
        test_patients=test_patients,
        made=made,
    )


def _organ_hu(percentiles: Sequence[Sequence[float]]) -> tuple[float, float]:
    darkest = np.percentile([values[0] for values in percentiles], 5)
    brightest = np.percentile([values[-1] for values in percentiles], 95)
    return round(float(darkest)), round(float(brightest))


def _organ(organ: str, facts: Sequence[CaseFacts]) -> OrganFacts:
    whole = [case.volume_ml[organ] for case in facts if organ in case.volume_ml and organ not in case.cut]
    return OrganFacts(
        annotated=sum(organ in case.annotated for case in facts),
        shown=sum(organ in case.volume_ml for case in facts),
        smallest_ml=round(min(whole), 1) if whole else None,
        median_ml=round(float(np.median(whole)), 1) if whole else None,
    )


def _annotates_all(case: CaseFacts, organs: Collection[str]) -> bool:
    return set(organs) <= set(case.annotated)


def _axes(values: np.ndarray) -> Axes:
    return tuple(round(float(value), 3) for value in values)


def _check(facts: Fingerprint) -> None:
    """Refuse numbers with which nothing can be planned, and a name that would begin a line of its own in a plan."""
    if not facts.name.isprintable():
        msg = f"name: {facts.name!r}"
        raise ValueError(msg)
    positive = (facts.cases, facts.patients, *facts.spacing_mm, *facts.spacing_low_mm, *facts.shape, *facts.extent_mm)
    if not all(0 < number < math.inf for number in positive) or (facts.test_patients or 0) < 0:
        msg = f"numbers that must be positive and finite: {positive}; patients who test: {facts.test_patients}"
        raise ValueError(msg)
    if not 0 <= facts.made < math.inf:
        msg = f"synthetic CTs: {facts.made}"
        raise ValueError(msg)


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a fingerprint from the JSON of `Fingerprint.plain`.

    Raises:
        UserError: When the file cannot be read, or is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        organs = {organ: OrganFacts(**found) for organ, found in values.pop("organs").items()}
        plain: dict[str, Any] = {}
        for key, value in values.items():
            plain[key] = tuple(value) if isinstance(value, list) else value
        fingerprint = Fingerprint(organs=organs, **plain)
        _check(fingerprint)
        return fingerprint
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"fingerprint={path} is not the fingerprint of a data set ({error}); name a file that segment plan wrote"
        raise UserError(msg) from error
