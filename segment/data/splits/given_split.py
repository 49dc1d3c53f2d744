"""Splits that come with the data: by its authors, or of nnU-Net."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.bounds import Whole, in_range
from segment.data.splits.split import OrgansOf, Split, checked
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError
from segment.io.json_file import read_json


class GivenSplit:
    """Every case goes where the data set's authors put it: see `Case.part`."""

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Split the cases.

        Raises:
            UserError: When a case has no part, or no case is left to train or validate.
        """
        if without := [case.id for case in cases if not case.part]:
            msg = f"{len(without)} case(s) come without a part, first {without[0]}; take split=random or split=file"
            raise UserError(msg)
        return checked({part: tuple(case for case in cases if case.part == part) for part in PARTS})


class NNUNetSplit:
    """A fold of nnU-Net's `splits_final.json`, so that both train and validate on the same cases.

    Cases that the data puts into the part `test` (`imagesTs` with `labelsTs`) test. Without them no case tests: those
    that validate, which nnU-Net reports, have chosen the checkpoint here. Other cases that the file does not name are
    left out.

    Args:
        path: The file, which nnU-Net keeps in `nnUNet_preprocessed/<data set>/`.
    """

    @in_range
    def __init__(self, path: str | Path, fold: Whole = 0) -> None:
        self.path = Path(path)
        self.fold = fold

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Pick the fold's cases.

        Raises:
            UserError: When the file cannot be read or lacks the fold, or names a case that the data lacks, has in two
                sources or puts into the part `test`.
        """
        chosen = self._chosen_fold()
        by_name: dict[str, Case] = {}
        for case in cases:
            name = case.id.partition("/")[2]
            if name in by_name:
                msg = (
                    f"{by_name[name].id} and {case.id} have one name in {self.path}; leave one of them out by "
                    "data.exclude"
                )
                raise UserError(msg)
            by_name[name] = case
        if unknown := [name for names in chosen.values() for name in names if name not in by_name]:
            have = ", ".join(list(by_name)[:3])
            msg = (
                f"{self.path} names {len(unknown)} case(s) that the data lacks, first {unknown[0]!r}; it has {have} "
                "…; correct the names"
            )
            raise UserError(msg)
        parts = {part: tuple(by_name[name] for name in names) for part, names in chosen.items()}
        return checked({**parts, "test": tuple(case for case in cases if case.part == "test")})

    def _chosen_fold(self) -> Mapping[str, list[str]]:
        folds: Any = read_json(self.path)
        try:
            listed = [{part: [str(name) for name in each[part]] for part in ("train", "val")} for each in folds]
        except (TypeError, KeyError, IndexError) as error:
            form = '[{"train": [names], "val": [names]}, ...]'
            msg = f"{self.path} does not hold {form}; give a splits_final.json of nnU-Net"
            raise UserError(msg) from error
        if not 0 <= self.fold < len(listed):
            msg = f"{self.path} has {len(listed)} fold(s), so there is no split.fold={self.fold}; give one from 0 on"
            raise UserError(msg)
        return listed[self.fold]
