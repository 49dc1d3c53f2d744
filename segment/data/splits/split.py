"""Who trains, who validates, who tests: by patient, seeded and written down."""

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
        shared: True only for the sanity check that trains and validates on the same case on purpose.
    """

    train: tuple[Case, ...]
    val: tuple[Case, ...]
    test: tuple[Case, ...]
    shared: bool = False

    def ids(self) -> dict[str, list[str]]:
        """Case ids by part, as split.json holds them."""
        return {part: [case.id for case in getattr(self, part)] for part in PARTS}


# Class indices that the cases show, by case id: what folds balance. Reads every label.
OrgansOf = Callable[[Sequence[Case]], Mapping[str, Sequence[int]]]


class Splitter(Protocol):
    """Anything that deals cases out."""

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Split the cases.

        Args:
            cases: All there are.
            organs_of: Called where organs are to be balanced; None: they are not.
        """


class FileSplit:
    """Read the split from a JSON file of case ids: `{"train": [...], "val": [...], "test": [...]}`.

    The split.json of any run serves. Cases that the file does not name are left out.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Pick the named cases.

        Raises:
            UserError: When the file cannot be read, names a case that the data does not have or names one twice, leaves
                no case to train or validate, or puts a patient into two parts.
        """
        try:
            parts = json.loads(self.path.read_text(encoding="utf-8"))
            named = {part: [str(name) for name in parts.get(part, [])] for part in PARTS}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            msg = f'cannot read {self.path}: {error}; a split is {{"train": [ids], "val": [ids], "test": [ids]}}'
            raise UserError(msg) from error
        by_id = {case.id: case for case in cases}
        unknown = [name for names in named.values() for name in names if name not in by_id]
        if unknown:
            have = ", ".join(list(by_id)[:3])
            msg = (
                f"{self.path} names {len(unknown)} case(s) that the data lacks, first {unknown[0]!r}; it has {have} "
                "…; correct the names"
            )
            raise UserError(msg)
        return checked({part: tuple(by_id[name] for name in names) for part, names in named.items()})


class SharedSplit:
    """Train, validate and test on one and the same case: a sanity check, never a result.

    Args:
        case: Its id; None takes the first.
    """

    def __init__(self, case: str | None = None) -> None:
        self.case = case

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """The one case, three times.

        Raises:
            UserError: When the data has no such case.
        """
        chosen = [case for case in cases if self.case in (None, case.id)][:1]
        if not chosen:
            msg = f"split.case={self.case} is no case; choose one of {', '.join(case.id for case in cases[:5])} …"
            raise UserError(msg)
        one = tuple(chosen)
        return Split(one, one, one, shared=True)


def checked(parts: Mapping[str, tuple[Case, ...]]) -> Split:
    """A split of these parts.

    Raises:
        UserError: When it cannot train or select a model, or has a case twice or a patient in two parts.
    """
    split = Split(parts["train"], parts["val"], parts["test"])
    for part, purpose in (("train", "train"), ("val", "validate")):
        if not parts[part]:
            counts = ", ".join(f"{len(parts[p])} {p}" for p in PARTS)
            patients = len({case.patient for cases in parts.values() for case in cases})
            msg = (
                f"the split leaves no case to {purpose} ({counts}, of {patients} patients); give more patients, or "
                "another split (split=random split.val=0.2), or train and test on one case with split=shared"
            )
            raise UserError(msg)
    part_of: dict[str, str] = {}
    for part, ids in split.ids().items():
        if twice := [name for name, count in Counter(ids).items() if count > 1]:
            msg = f"the split names {twice[0]} twice in {part}; name it once"
            raise UserError(msg)
        for case in parts[part]:
            if part_of.setdefault(case.patient, part) != part:
                msg = f"patient {case.patient} is in both {part_of[case.patient]} and {part}; keep it in one"
                raise UserError(msg)
    return split
