"""Splits that come with the data: by its authors, or by nnU-Net."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.bounds import NonNegativeInt, in_range
from segment.data.splits.split import OrgansOf, Split, build_split, not_made
from segment.datasets.cases import PARTS, Case
from segment.errors import UserError
from segment.io.json_file import read_json


class GivenSplit:
    """Assign every case to the part that the data set's authors chose (`Case.part`)."""

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Split the cases.

        Raises:
            UserError: When a case has no part.
        """
        every, cases = cases, not_made(cases)
        without = [case.id for case in cases if not case.part]
        if without:
            msg = f"{len(without)} case(s) have no part, first {without[0]}; choose split=random or split=file"
            raise UserError(msg)
        parts: dict[str, list[Case]] = {part: [] for part in PARTS}
        for case in cases:
            parts[case.part].append(case)
        return build_split(parts, every)


class NNUNetSplit:
    """Use a fold of nnU-Net's `splits_final.json`, to train and validate on the same cases as nnU-Net.

    Cases in the data's part `test` (`imagesTs` with `labelsTs`) are test cases. Without them there is no test: nnU-Net
    reports scores of the validation cases, but here these select the checkpoint. Other cases that the file does not
    name are left out.

    Args:
        path: The file, which nnU-Net keeps in `nnUNet_preprocessed/<data set>/`.
        fold: The fold, from 0.
    """

    @in_range
    def __init__(self, path: str | Path, fold: NonNegativeInt = 0) -> None:
        self.path = Path(path)
        self.fold = fold

    def __call__(self, cases: Sequence[Case], organs_of: OrgansOf | None = None) -> Split:
        """Pick the fold's cases.

        Raises:
            UserError: When the file cannot be read, does not have the fold, or names a case that the data lacks, that
                is in two sources, or that is in the part `test`.
        """
        every, cases = cases, not_made(cases)
        chosen = self._chosen_fold()
        by_name: dict[str, Case] = {}
        for case in cases:
            name = case.id.partition("/")[2]
            if name in by_name:
                msg = (
                    f"{by_name[name].id} and {case.id} have the same name in {self.path}; exclude one of them with "
                    "data.exclude"
                )
                raise UserError(msg)
            by_name[name] = case
        unknown = [name for name in (*chosen["train"], *chosen["val"]) if name not in by_name]
        if unknown:
            have = ", ".join(list(by_name)[:3])
            msg = (
                f"{self.path} names {len(unknown)} case(s) that the data lacks, first {unknown[0]!r}; it has {have} "
                "…; correct the names"
            )
            raise UserError(msg)
        parts = {"test": [case for case in cases if case.part == "test"]}
        for part, names in chosen.items():
            parts[part] = [by_name[name] for name in names]
        return build_split(parts, every)

    def _chosen_fold(self) -> Mapping[str, list[str]]:
        folds: Any = read_json(self.path)
        try:
            listed = []
            for fold in folds:
                train = [str(name) for name in fold["train"]]
                val = [str(name) for name in fold["val"]]
                listed.append({"train": train, "val": val})
        except (TypeError, KeyError, IndexError) as error:
            form = '[{"train": [names], "val": [names]}, ...]'
            msg = f"{self.path} does not hold {form}; give a splits_final.json of nnU-Net"
            raise UserError(msg) from error
        if self.fold >= len(listed):
            msg = (
                f"{self.path} has {len(listed)} fold(s), so there is no split.fold={self.fold}; choose a lower one, "
                "counted from 0"
            )
            raise UserError(msg)
        return listed[self.fold]
