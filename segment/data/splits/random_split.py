"""The random split by patient: shares, or the folds of a cross-validation."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.bounds import NonNegativeInt, OpenShare, PositiveInt, ShareBelowOne, in_range
from segment.data.splits.assign import Patient, assign_folds, assign_parts
from segment.data.splits.split import OrgansOf, Split, build_split, not_made
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError
from segment.files import write_text


class RandomSplit:
    """Assign the patients of every source at random: by shares or, if a fold is given, for cross-validation.

    Each part gets its share of each source and of the source's groups. Folds are also balanced by the organs that the
    patients' labels show. The result depends on the seed and on the patients' names, groups and organs. The order of
    files and other sources do not matter. Without folds, the only patient of a source trains if the shares are at most
    one half.

    Folds are balanced by the organs of the experiment only. With all organs in the labels there would be almost as many
    sets of organs as patients, and balancing would have no effect. Experiments with different organs therefore have
    different folds, unless they share a `frozen` file.

    Patients that a data set's authors reserve for the test (`Case.part`) are test patients and count towards its share.

    In a cross-validation, the test patients are the same for every fold and the same as without folds; each other
    patient validates in one fold. With test=0, fold f tests, fold f+1 validates and the others train, so each case is
    tested once, by a network that was not trained on it.

    Args:
        val: Share of the patients that validate, in (0, 1). A cross-validation ignores it.
        test: Share of the patients that test, in [0, 1).
        seed: Seed of the split.
        folds: Number of folds of a cross-validation.
        fold: The fold that validates, from 0; None: no cross-validation.
        frozen: JSON file that records the part or fold of every patient. It is written at the first use. Patients that
            are added later are assigned without moving the others. None: no record.

    Raises:
        UserError: When a number is out of its range, or the numbers leave nothing to train on.
    """

    @in_range
    def __init__(
        self,
        val: OpenShare,
        test: ShareBelowOne,
        seed: int,
        folds: PositiveInt = 5,
        fold: NonNegativeInt | None = None,
        frozen: str | Path | None = None,
    ) -> None:
        if val + test >= 1:
            msg = f"shares of the split must leave cases to train: val={val}, test={test}; make one of them smaller"
            raise UserError(msg)
        least = 2 if test else 3  # folds, of which one tests if there are no test patients
        if folds < least:
            msg = f"split.folds={folds} leaves nothing to train on; take {least} or more"
            raise UserError(msg)
        if fold is not None and fold >= folds:
            msg = f"split.fold={fold}: there are folds 0 to {folds - 1}; choose one of them or set split.folds"
            raise UserError(msg)
        self.val = val
        self.test = test
        self.seed = seed
        self.folds = folds
        self.fold = fold
        self.frozen = None if frozen is None else Path(frozen)

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Split the cases.

        Raises:
            UserError: When `frozen` was written for another split.
        """
        if self.fold is not None and organs_of is None:
            msg = (
                f"split.fold={self.fold} needs the labels, which only training reads before the split; give the fold's "
                "own split: split=file split.path=<run folder>/split.json"
            )
            raise UserError(msg)
        every, cases = cases, not_made(cases)
        folds = None if self.fold is None else self.folds
        settings = {"seed": self.seed, "val": self.val, "test": self.test, "folds": folds}
        fixed = _read_frozen(self.frozen, settings)
        fixed |= _reserved(cases)
        organs = organs_of(cases) if folds and organs_of else {}
        patients = _patients(cases, organs)
        assigned = self._assign_folds(patients, fixed) if folds else self._assign_parts(patients, fixed)
        if self.frozen is not None:
            write_text(self.frozen, json.dumps({"settings": settings, "patients": fixed | assigned}, indent=1))
        part_of = {patient: self._part(value) for patient, value in assigned.items()}
        parts: dict[str, list[Case]] = {part: [] for part in PARTS}
        for case in sorted(cases, key=lambda case: case.id):
            parts[part_of[case.patient]].append(case)
        return build_split(parts, every)

    def test_patients(self, cases: Sequence[Case]) -> set[str]:
        """Names of the test patients, the same for every share of validation and every fold.

        With test=0, these are only those that authors or `frozen` reserve. Reads no label and does not write `frozen`.
        """
        cases = not_made(cases)
        fixed = _read_frozen(self.frozen, settings=None) | _reserved(cases)
        return self._test_patients(_patients(cases, {}), fixed)

    def _test_patients(self, patients: Sequence[Patient], fixed: Mapping[str, Any]) -> set[str]:
        fixed_parts = {name: "test" if value == "test" else "train" for name, value in fixed.items()}
        part_of = self._assign_parts(patients, fixed_parts)
        return {name for name, part in part_of.items() if part == "test"}

    def _assign_parts(self, patients: Sequence[Patient], fixed: Mapping[str, str]) -> dict[str, str]:
        """Part of every patient. Test patients are chosen first, so they do not depend on the share of validation."""
        return assign_parts(patients, {"test": self.test, "val": self.val}, "train", self.seed, fixed)

    def _assign_folds(self, patients: Sequence[Patient], fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Fold of every patient, or "test"."""
        # The test patients are chosen as without folds, so they are the same.
        tests = self._test_patients(patients, fixed)
        others = [p for p in patients if p.name not in tests]
        fixed_folds = {name: value for name, value in fixed.items() if value != "test"}
        fold_of = assign_folds(others, self.folds, self.seed, fixed_folds)
        return {p.name: fold_of.get(p.name, "test") for p in patients}

    def _part(self, assigned: Any) -> str:  # noqa: ANN401
        """Part of a patient in this fold, from its fold or its part."""
        if self.fold is None or assigned == "test":
            return str(assigned)
        if assigned == self.fold:
            return "val" if self.test else "test"
        if assigned == (self.fold + 1) % self.folds and not self.test:
            return "val"
        return "train"


def _patients(cases: Sequence[Case], organs: Mapping[str, Sequence[int]]) -> list[Patient]:
    """Patients in the order of their names. The group of a patient is that of its first case."""
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: case.id):
        by_patient[case.patient].append(case)
    patients = []
    for name, own_cases in sorted(by_patient.items()):
        classes: set[int] = set()
        for case in own_cases:
            classes.update(organs.get(case.id, ()))
        patients.append(Patient(name, own_cases[0].group, frozenset(classes)))
    return patients


def _reserved(cases: Sequence[Case]) -> dict[str, str]:
    """The patients whom a data set's authors reserve for the test."""
    return {case.patient: "test" for case in cases if case.part == "test"}


def _read_frozen(path: Path | None, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parts or folds of a frozen split by patient; empty if there is no file yet.

    Args:
        path: The file.
        settings: Settings for which it must have been written; None: any.
    """
    if path is None or not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        before, patients = content["settings"], dict(content["patients"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"split.frozen={path} is not a frozen split ({error}); name another file"
        raise UserError(msg) from error
    if settings is not None and before != settings:
        msg = f"split.frozen={path} was written for {before}, not for {dict(settings)}; set these or name another file"
        raise UserError(msg)
    return patients
