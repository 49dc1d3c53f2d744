"""The seeded split: shares of the patients, or folds."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.bounds import Count, RealShare, ShareBelowOne, Whole, in_range
from segment.data.splits.deal import Patient, deal_folds, deal_parts
from segment.data.splits.split import OrgansOf, Split, checked
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError
from segment.files import write_text


class RandomSplit:
    """Deal every source's patients out at random, by shares or, with a fold, for cross-validation.

    Each part holds its share of each source and of the source's groups; each fold also of patients with the same
    organs. The result hangs on the seed and on the patients' names, groups and organs: neither the order of files nor
    other sources matter. A source of one patient only trains.

    Organs are those of the experiment: balanced by all that labels show, sets of organs would be nearly as many as
    patients, and folds no better than without. So folds of other organs are others, unless both experiments name the
    same `frozen` file.

    Patients whom a data set's authors keep for the test (`Case.part`) test, and count towards the share.

    The test patients are the same for every fold, and those of the split without folds; the others take turns in
    validating. With test=0, fold f tests, fold f+1 validates and the others train, so that each case is tested once, by
    a network that has not seen it.

    Args:
        val: Share of the patients that validate, in (0, 1); a cross-validation does not use it.
        test: Share of the patients that test, in [0, 1).
        seed: Another seed, another split.
        folds: Number of folds of a cross-validation.
        fold: Which of them validates; None: no cross-validation.
        frozen: JSON file that keeps every patient's place, written when first used: patients that come later are dealt
            out without moving those who are there. None: all are dealt anew.

    Raises:
        UserError: When a number is out of its range, or they leave nothing to train on.
    """

    @in_range
    def __init__(
        self,
        val: RealShare,
        test: ShareBelowOne,
        seed: int,
        folds: Count = 5,
        fold: Whole | None = None,
        frozen: str | Path | None = None,
    ) -> None:
        if val + test >= 1:
            msg = f"shares of the split must leave cases to train: val={val}, test={test}; make one of them smaller"
            raise UserError(msg)
        if folds < (least := 2 if test else 3):
            msg = f"split.folds={folds} leaves nothing to train on; take {least} or more"
            raise UserError(msg)
        if fold is not None and not 0 <= fold < folds:
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
            UserError: When no case is left to train or to validate, or `frozen` is of another split.
        """
        folds = None if self.fold is None else self.folds
        settings = {"seed": self.seed, "val": self.val, "test": self.test, "folds": folds}
        fixed = _read_frozen(self.frozen, settings) | {case.patient: "test" for case in cases if case.part == "test"}
        patients = _patients(cases, organs_of(cases) if folds and organs_of else {})
        place = self._deal_folds(patients, fixed) if folds else self._deal(patients, fixed)
        if self.frozen is not None:
            write_text(self.frozen, json.dumps({"settings": settings, "patients": fixed | place}, indent=1))
        part_of = {name: self._part(at) for name, at in place.items()}
        ordered = sorted(cases, key=lambda case: case.id)
        return checked({part: tuple(case for case in ordered if part_of[case.patient] == part) for part in PARTS})

    def _deal(self, patients: Sequence[Patient], fixed: Mapping[str, str]) -> dict[str, str]:
        """Part of every patient; those who test first, so that they stay whatever the share of validation."""
        return deal_parts(patients, {"test": self.test, "val": self.val}, "train", self.seed, fixed)

    def _deal_folds(self, patients: Sequence[Patient], fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Fold of every patient, or "test"."""
        # Dealt as without folds, so that the test patients are the same.
        part_of = self._deal(patients, {name: at if at == "test" else "train" for name, at in fixed.items()})
        others = [p for p in patients if part_of[p.name] != "test"]
        folds = deal_folds(others, self.folds, self.seed, {name: at for name, at in fixed.items() if at != "test"})
        return {p.name: folds.get(p.name, "test") for p in patients}

    def _part(self, place: Any) -> str:  # noqa: ANN401
        """Where a patient's place puts it in this fold."""
        if self.fold is None or place == "test":
            return str(place)
        if self.test:
            return "val" if place == self.fold else "train"
        return {self.fold: "test", (self.fold + 1) % self.folds: "val"}.get(place, "train")


def _patients(cases: Sequence[Case], organs: Mapping[str, Sequence[int]]) -> list[Patient]:
    """Patients in the order of their names; of several groups a patient belongs to that of the first case."""
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in sorted(cases, key=lambda case: case.id):
        by_patient[case.patient].append(case)
    return [
        Patient(name, own[0].group, frozenset(index for case in own for index in organs.get(case.id, ())))
        for name, own in sorted(by_patient.items())
    ]


def _read_frozen(path: Path | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Places of a frozen split; none where there is no file yet."""
    if path is None or not path.exists():
        return {}
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        before, patients = held["settings"], dict(held["patients"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"split.frozen={path} is not a frozen split ({error}); name another file"
        raise UserError(msg) from error
    if before != settings:
        msg = f"split.frozen={path} was written for {before}, not for {dict(settings)}; set these or name another file"
        raise UserError(msg)
    return patients
