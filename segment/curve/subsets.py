"""Which CTs train: nested subsets of the training patients. The patients that validate and test are fixed."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from segment.data.splits.split import Split, not_made
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.files import write_text

SUBSETS = "subsets.json"
LEAST_SIZES, LEAST_TEST = 3, 3
DOUBLINGS = 3  # between the smallest and the largest number of CTs that are chosen by default


@dataclass(frozen=True)
class Subsets:
    """The patients of all trainings of a curve, each as a list of case ids.

    Attributes:
        val: Patients that validate all trainings.
        test: Patients that test all trainings.
        train: The others, in generations: those at the start of the curve, and those that were labelled later.
        seed: Of the order in which patients join the training.
        patches_per_epoch: Patches in an epoch of every training.
    """

    val: list[list[str]]
    test: list[list[str]]
    train: list[list[list[str]]]
    seed: int
    patches_per_epoch: int

    @property
    def have(self) -> int:
        """Number of CTs that can train."""
        return sum(len(_cases(generation)) for generation in self.train)

    def training(self, cts: int, repeat: int) -> list[str]:
        """Ids of the cases of a training: patients in the random order of this repeat, until there are `cts` CTs.

        A smaller training of the same repeat has the first of these patients. If the last patient has several CTs,
        there may be more than `cts`.
        """
        chosen: list[str] = []
        for generation in self.train:
            for patient in sorted(generation, key=lambda patient: _random_key(self.seed, repeat, patient)):
                if len(chosen) < cts:
                    chosen += patient
        return chosen

    def distinct(self, trainings: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Trainings, each once, by the number of CTs that they have and their repeat.

        For example, if all patients have two CTs, trainings with 5 and with 6 CTs have the same 6. Two of them would
        differ in nothing, not even in the seed, and count as two that agree.
        """
        return list(dict.fromkeys((len(self.training(cts, repeat)), repeat) for cts, repeat in trainings))

    def split(self, cts: int, repeat: int) -> dict[str, list[str]]:
        """The split of a training, as in split.json."""
        return {"train": self.training(cts, repeat), "val": _cases(self.val), "test": _cases(self.test)}

    def write(self, folder: Path) -> None:
        """Write `subsets.json`."""
        write_text(folder / SUBSETS, json.dumps(asdict(self), indent=1))


def read_subsets(folder: Path) -> Subsets:
    """Read `subsets.json`.

    Raises:
        UserError: When it is missing or damaged.
    """
    path = folder / SUBSETS
    try:
        return Subsets(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        msg = f"cannot read {path}: {error}; start another curve"
        raise UserError(msg) from error


def make_subsets(split: Split, seed: int, patches_per_epoch: int | None) -> Subsets:
    """The patients of a split.

    Cases that were made from label maps are not counted; they train together with their patients.

    Args:
        split: Assigns the patients to training, validation and test.
        seed: As in `Subsets`.
        patches_per_epoch: Patches in an epoch; None: as many as there are training CTs.

    Raises:
        UserError: When too few patients test.
    """
    test = _by_patient(split.test)
    if split.shared or len(test) < LEAST_TEST:
        msg = (
            f"{0 if split.shared else len(test)} patients would test; a curve needs at least {LEAST_TEST} (better ten) "
            "that neither train nor validate; take a larger share, e.g. split.test=0.3"
        )
        raise UserError(msg)
    train = not_made(split.train)
    return Subsets(_by_patient(split.val), test, [_by_patient(train)], seed, patches_per_epoch or len(train))


def with_new_cases(subsets: Subsets, cases: Sequence[Case]) -> Subsets:
    """Add patients that were labelled after the start of the curve to those that can train.

    The trainings so far stay valid, because new patients come after the others in every order. Patients that the
    authors of a data set reserve for validation or test are not added, nor are further CTs of known patients.

    Args:
        subsets: The patients so far.
        cases: All cases that exist now.

    Raises:
        UserError: When a case of the curve is missing.
    """
    known = {*_cases(subsets.val), *_cases(subsets.test), *chain(*map(_cases, subsets.train))}
    missing = known - {case.id for case in cases}
    if missing:
        msg = f"the data lacks {len(missing)} case(s) of this curve, first {min(missing)}; restore them"
        raise UserError(msg)
    patients = {case.patient for case in cases if case.id in known}
    new = [case for case in not_made(cases) if case.patient not in patients and case.part in ("", "train")]
    return replace(subsets, train=[*subsets.train, _by_patient(new)]) if new else subsets


def choose_sizes(sizes: Sequence[int] | None, subsets: Subsets) -> list[int]:
    """Numbers of training CTs in ascending order.

    Args:
        sizes: The given numbers; None: all CTs, and a half, a quarter and an eighth of them, each at least two.
        subsets: The patients.

    Raises:
        UserError: When fewer than three are different, or a number is larger than that of the CTs.
    """
    have = subsets.have
    halves = (round(have / 2**step) for step in range(DOUBLINGS + 1))
    chosen = sorted({*sizes} if sizes is not None else {half for half in halves if half >= 2})
    if len(chosen) < LEAST_SIZES:
        given = f"sizes={chosen}" if sizes is not None else f"{have} training CTs"
        msg = f"{given}: a curve needs {LEAST_SIZES} different numbers of training CTs, e.g. sizes=[5,10,20]"
        raise UserError(msg)
    if chosen[-1] > have:
        rest = f"{len(_cases(subsets.val))} that validate and {len(_cases(subsets.test))} that test"
        msg = f"sizes={chosen}: there are {have} training CTs, beside {rest}; name numbers up to {have}"
        raise UserError(msg)
    real = [cts for cts, _ in subsets.distinct((size, 0) for size in chosen)]
    if len(real) < LEAST_SIZES:
        msg = (
            f"sizes={chosen}: patients with several CTs are not divided, so these are {real} training CTs, and a curve "
            f"needs {LEAST_SIZES} different numbers; name numbers that are further apart"
        )
        raise UserError(msg)
    return chosen


def _by_patient(cases: Iterable[Case]) -> list[list[str]]:
    """Case ids of each patient."""
    patients: dict[str, list[str]] = {}
    for case in cases:
        patients.setdefault(case.patient, []).append(case.id)
    return list(patients.values())


def _cases(patients: Sequence[Sequence[str]]) -> list[str]:
    return list(chain.from_iterable(patients))


def _random_key(seed: int, repeat: int, patient: Sequence[str]) -> bytes:
    return blake2b(f"{seed}:{repeat}:{patient[0]}".encode()).digest()
