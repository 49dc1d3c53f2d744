"""Splits of the cases into training, validation and test."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segment.datasets.cases import PARTS, Case
from segment.errors import UserError


@dataclass(frozen=True)
class Split:
    """Cases of the three parts.

    Attributes:
        shared: True only for the sanity check that trains, validates and tests on one case.
    """

    train: tuple[Case, ...]
    val: tuple[Case, ...]
    test: tuple[Case, ...]
    shared: bool = False

    def cases(self) -> tuple[Case, ...]:
        """Cases of all parts, in the order train, val, test."""
        return (*self.train, *self.val, *self.test)

    def ids(self) -> dict[str, list[str]]:
        """Case ids by part, as in split.json."""
        return {part: [case.id for case in getattr(self, part)] for part in PARTS}


# Computes the class indices that each case shows, by case id. Folds are balanced by them. It reads every label.
OrgansOf = Callable[[Sequence[Case]], Mapping[str, Sequence[int]]]


class Splitter(Protocol):
    """Assigns cases to the parts of a split."""

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Split the cases.

        Args:
            cases: All cases.
            organs_of: Called if organs are to be balanced; None: they are not balanced.
        """


class FileSplit:
    """Read the split from a JSON file of case ids: `{"train": [...], "val": [...], "test": [...]}`.

    The split.json of a run has this form. Cases that the file does not name are left out. Synthetic cases from label
    maps are used as the file names them; if it names none, they join the training as in every other split.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Pick the named cases.

        Raises:
            UserError: When the file cannot be read, has another part, names a case twice or one that the data lacks, or
                assigns a patient to two parts.
        """
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            named = {part: list(map(str, content.get(part, []))) for part in PARTS}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            msg = f'cannot read {self.path}: {error}; a split is {{"train": [ids], "val": [ids], "test": [ids]}}'
            raise UserError(msg) from error
        for part in content:
            if part not in PARTS:
                msg = f"{self.path} has the part {part!r}; rename it to one of {', '.join(PARTS)}, or remove it"
                raise UserError(msg)
        by_id = {case.id: case for case in cases}
        unknown = [name for names in named.values() for name in names if name not in by_id]
        if unknown:
            have = ", ".join(list(by_id)[:3])
            msg = (
                f"{self.path} names {len(unknown)} case(s) that the data lacks, first {unknown[0]!r}; it has {have} "
                "…; correct the names"
            )
            raise UserError(msg)
        parts = {}
        for part, names in named.items():
            parts[part] = [by_id[name] for name in names]
        names_made = any(case.made_from is not None for part in parts.values() for case in part)
        return build_split(parts, () if names_made else cases)


class SharedSplit:
    """Train, validate and test on the same case: a sanity check, not a result.

    Args:
        case: The case's id; None: the first case.
    """

    def __init__(self, case: str | None = None) -> None:
        self.case = case

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Use the case in all three parts.

        Raises:
            UserError: When the data has no such case.
        """
        cases = not_made(cases)
        chosen = tuple(case for case in cases if self.case in (None, case.id))[:1]
        if not chosen:
            msg = f"split.case={self.case} is not a case; choose one of {', '.join(case.id for case in cases[:5])} …"
            raise UserError(msg)
        return Split(chosen, chosen, chosen, shared=True)


def check_trains(split: Split) -> Split:
    """Return a split that has cases to train and to validate. An evaluation needs neither.

    Raises:
        UserError: When it lacks one of them.
    """
    for part, purpose in (("train", "train"), ("val", "validate")):
        if not getattr(split, part):
            counts = f"{len(split.train)} train, {len(split.val)} val, {len(split.test)} test"
            patients = len({case.patient for case in split.cases()})
            msg = (
                f"the split leaves no case to {purpose} ({counts}, of {patients} patients); give more patients, or "
                "another split (split=random split.val=0.2), or train and test on one case with split=shared"
            )
            raise UserError(msg)
    return split


def not_made(cases: Sequence[Case]) -> list[Case]:
    """The cases that were not made from the label map of another one; these alone are assigned to parts."""
    return [case for case in cases if case.made_from is None]


def build_split(parts: Mapping[str, Sequence[Case]], cases: Sequence[Case] = ()) -> Split:
    """Build a split from its parts, and check it.

    Cases that were made from a label map join the training if their patient trains, or if no other case of this patient
    is used in the experiment. Those of patients who validate, test or are left out of the split are left out.

    Args:
        parts: The assigned cases by part.
        cases: All cases of the experiment.

    Raises:
        UserError: When a case occurs twice, a patient is in two parts, or a case that was made from a label map
            validates or tests.
    """
    elsewhere = {case.patient for case in not_made(cases)} - {case.patient for case in parts["train"]}
    joining = [case for case in cases if case.made_from is not None and case.patient not in elsewhere]
    parts = {**parts, "train": (*parts["train"], *joining)}
    split = Split(tuple(parts["train"]), tuple(parts["val"]), tuple(parts["test"]))
    made = [case.id for case in (*split.val, *split.test) if case.made_from is not None]
    if made:
        msg = f"{made[0]} is synthetic, made from a label map: it can only train; take it out of val and test"
        raise UserError(msg)
    part_of: dict[str, str] = {}
    for part, ids in split.ids().items():
        twice = [name for name, count in Counter(ids).items() if count > 1]
        if twice:
            msg = f"the split names {twice[0]} twice in {part}; name it once"
            raise UserError(msg)
        for case in parts[part]:
            if part_of.setdefault(case.patient, part) != part:
                msg = f"patient {case.patient} is in both {part_of[case.patient]} and {part}; keep it in one"
                raise UserError(msg)
    return split
