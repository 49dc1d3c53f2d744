"""The masks that `segment predict` wrote, with their CTs and references."""

import csv
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segment.errors import UserError
from segment.inference.inputs.find_inputs import Input, find_inputs
from segment.inference.inputs.read_input import read_input
from segment.inference.outputs.names import CHECKSUMS, ct_path, masks_in, report_path
from segment.inference.outputs.report import read_report
from segment.io.label_codes import Codes
from segment.io.left_out import SHOWN
from segment.io.read import read_ct_file, read_label
from segment.io.scan import SUFFIXES, Scan, on_grid_of


@dataclass(frozen=True)
class PredictedCase:
    """A mask with its CT, and its reference if there is one.

    Attributes:
        name: Name of the case: the path of the CT below the input.
        mask: File of the mask.
        report: File of its report; it may be missing.
        ct: The CT; a file if it was straightened.
        reference: File of the reference; None if there is none.
    """

    name: str
    mask: Path
    report: Path
    ct: Input | Path
    reference: Path | None

    def read_scan(self, series: str | None) -> Scan:
        """Read the CT; `series` as in `segment predict`.

        Raises:
            UserError: When it cannot be read, or is not a CT.
        """
        if isinstance(self.ct, Path):
            return read_ct_file(self.ct)
        scan, left_out = read_input(self.ct, series, straighten=False)
        if scan is None:
            msg = f"{self.ct.path} is not the CT of {self.mask}: {left_out[0].reason}; give the CT as input"
            raise UserError(msg)
        return scan

    def read_mask(self, scan: Scan, organs: Sequence[str]) -> np.ndarray:
        """Class indices (I,J,K) on the grid of the CT; class i is organs[i-1].

        Raises:
            UserError: When the mask is not on the grid of the CT, or has a value without an organ.
        """
        stored = on_grid_of(read_label(self.mask), scan, self.mask, "its CT")
        return _classes(stored, _numbers(self.report, organs), organs, self.mask)

    def read_reference(self, scan: Scan, organs: Sequence[str], codes: Codes | None) -> np.ndarray | None:
        """Class indices (I,J,K) of the reference on the grid of the CT; None if there is none.

        Args:
            scan: The CT.
            organs: Class i is organs[i-1].
            codes: Code or codes by organ; other codes are background. None: the values of the mask.

        Raises:
            UserError: As `read_mask`.
        """
        if self.reference is None:
            return None
        stored = on_grid_of(read_label(self.reference), scan, self.reference, "its CT")
        if codes is None:
            return _classes(stored, _numbers(self.report, organs), organs, self.reference)
        result = np.zeros(stored.shape, np.uint8)
        for organ, code in codes.items():
            result[np.isin(stored, code)] = organs.index(organ) + 1
        return result


def find_cases(folder: Path, given: Sequence[str], reference: Path | None) -> list[PredictedCase]:
    """The masks below a folder, with their CTs.

    Args:
        folder: The output of `segment predict`.
        given: Its input; not needed for CTs that it straightened.
        reference: A label map, or a folder with label maps named as the cases; None: there are none.

    Raises:
        UserError: When a CT is missing, or no reference has the name of a case.
    """
    inputs = {item.name: item for item in find_inputs(given, folder)[0]} if given else {}
    cases, missing = match_cts(folder, inputs, reference)
    if missing:
        names = ", ".join(missing[:SHOWN]) + " …" * (len(missing) > SHOWN)
        msg = f"no CT for {len(missing)} mask(s) in {folder}: {names}; give input=<the same input as segment predict>"
        raise UserError(msg)
    if reference is not None and all(case.reference is None for case in cases):
        msg = f"reference={reference} has no label map for a case, e.g. {cases[0].name}.nii.gz; name them as the cases"
        raise UserError(msg)
    if reference is not None and reference.is_file() and len(cases) > 1:
        msg = f"reference={reference} is one file for {len(cases)} cases; give a folder with files named as the cases"
        raise UserError(msg)
    return cases


def match_cts(
    folder: Path, inputs: Mapping[str, Input], reference: Path | None
) -> tuple[list[PredictedCase], list[str]]:
    """The masks below a folder whose CT is known, and the names of the others.

    Args:
        folder: The output of `segment predict`, which holds the CTs that were straightened.
        inputs: The other CTs by name.
        reference: As in `find_cases`.
    """
    cases, missing = [], []
    for name, mask in masks_in(folder).items():
        straightened = ct_path(folder, name)
        ct = straightened if straightened.exists() else inputs.get(name)
        if ct is None:
            missing.append(name)
        else:
            cases.append(PredictedCase(name, mask, report_path(folder, name), ct, _find_reference(reference, name)))
    return cases, missing


def _find_reference(reference: Path | None, name: str) -> Path | None:
    if reference is None or reference.is_file():
        return reference
    found = (reference / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in found if path.exists()), None)


def organs_of(folder: Path) -> list[str]:
    """The organs of a folder of masks, in the order of volumes.csv: class i is organs[i-1].

    Raises:
        UserError: When the table is missing or names no organ.
    """
    path = folder / "volumes.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            organs = list(dict.fromkeys(row["organ"] for row in csv.DictReader(file)))
    except (OSError, KeyError) as error:
        msg = f"{path} does not name the organs of the masks in a column organ; run segment predict again"
        raise UserError(msg) from error
    if not organs:
        msg = f"{path} names no organ; run segment predict again"
        raise UserError(msg)
    return organs


def check_organs(codes: Collection[str], organs: Sequence[str]) -> None:
    """Refuse codes of organs that the masks do not have."""
    unknown = [organ for organ in codes if organ not in organs]
    if unknown:
        msg = f"reference_codes names {unknown[0]}, but the masks have {', '.join(organs)}; leave it out"
        raise UserError(msg)


def checkpoint_words(folder: Path) -> str:
    """The checkpoints that made the masks, in words."""
    record = folder / CHECKSUMS
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    pairs = [line.split(maxsplit=1) for line in lines if len(line.split()) > 1]
    if not pairs:
        return "the checkpoint is not recorded"
    return "; ".join(f"{name} (SHA-256 {sha[:12]}…)" for sha, name in pairs)


def _numbers(path: Path, organs: Sequence[str]) -> dict[str, int]:
    """Value of each organ in a mask: from its report if it has one, otherwise by the order of the organs."""
    report = read_report(path) or {}
    numbers = {organ: index for index, organ in enumerate(organs, start=1)}
    with suppress(ValueError, KeyError, TypeError):
        entries = report["organs"]
        numbers |= {str(entry["organ"]): int(entry["number"]) for entry in entries if entry["organ"] in numbers}
    return numbers


def _classes(stored: np.ndarray, numbers: dict[str, int], organs: Sequence[str], path: Path) -> np.ndarray:
    """Values of a file as class indices, uint8."""
    highest = int(stored.max(initial=0))
    table = np.zeros(max(highest, *numbers.values()) + 1, np.uint8)
    for index, organ in enumerate(organs, start=1):
        table[numbers[organ]] = index
    unknown = np.setdiff1d(np.unique(stored), [0, *numbers.values()])
    if unknown.size:
        msg = (
            f"{path} has the value {unknown[0]}, which is no organ of this prediction ({numbers}); for a reference, "
            "give reference_codes={<organ>: <code>, …}"
        )
        raise UserError(msg)
    return np.asarray(table[stored])
