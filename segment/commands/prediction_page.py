"""The page of a folder of masks, as `segment view` and `segment predict` write it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.anatomy.anatomy import Anatomy
from segment.commands.predicted_cases import PredictedCase, checkpoint_words, match_cts, organs_of
from segment.inference.inputs.find_inputs import Input
from segment.inference.outputs.names import masks_in, report_path
from segment.inference.outputs.report import read_confidences, read_report
from segment.io.label_codes import Codes
from segment.io.quiet import quiet
from segment.view.page.prediction import PredictionPage

# What the page at the end of a prediction may hold, so that it takes a minute at most; `segment view` may make larger.
_MAX_MB, _MAX_SCANS = 60, 12


@dataclass(frozen=True)
class Limits:
    """How much of a prediction its page shows.

    Attributes:
        max_mb: Megabytes of all scans.
        max_scans: Number of scans.
    """

    max_mb: float
    max_scans: float = float("inf")


def write_prediction_page(
    path: Path,
    folder: Path,
    cases: Sequence[PredictedCase],
    anatomy: Anatomy,
    limits: Limits,
    *,
    series: str | None = None,
    codes: Codes | None = None,
    on_case: Callable[[str], None] = lambda name: None,
) -> None:
    """Write the page of a folder of masks. Cases with flags in their reports come first.

    Args:
        path: The page.
        folder: The output of `segment predict`.
        cases: The cases whose CT is known. The other masks in the folder are listed with what their reports state.
        anatomy: Plausible volumes and HU.
        limits: How many scans the page holds; further cases are listed as well.
        series: As in `segment predict`.
        codes: Codes of the references, if there are any.
        on_case: Called with the name of each case whose scan is in the page.

    Raises:
        UserError: When a CT or a mask cannot be read.
    """
    organs = organs_of(folder)
    page = PredictionPage(organs, anatomy, limits.max_mb)
    known = {case.name: case for case in cases}
    reports = {name: read_report(report_path(folder, name)) for name in masks_in(folder)}
    for name in sorted(reports, key=lambda name: (-_flagged(reports[name]), name)):
        case, entries = known.get(name), _entries(reports[name], organs)
        has_room = page.has_room and page.scans < limits.max_scans
        if entries and (case is None or not has_room):
            page.add_listed(name, entries)
        elif case is not None:
            scan = case.read_scan(series)
            mask = case.read_mask(scan, organs)
            reference = case.read_reference(scan, organs, codes)
            page.add(name, scan, mask, reference, read_confidences(case.report))
            on_case(name)
    count = f"{len(reports)} CT{'s' * (len(reports) != 1)}"
    page.write(path, f"Prediction {folder.resolve().name}", f"{count}; {checkpoint_words(folder)}")


def _entries(report: dict[str, Any] | None, organs: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of a report, in the order of the organs; empty if it lacks one."""
    by_organ = {entry["organ"]: entry for entry in report["organs"]} if report else {}
    return [by_organ[organ] for organ in organs] if all(organ in by_organ for organ in organs) else []


def _flagged(report: dict[str, Any] | None) -> int:
    """Number of organs with flags; those of an unknown report come first, because they must be measured."""
    return 1000 if report is None else sum(bool(entry.get("flags")) for entry in report["organs"])


def write_page_of_inputs(
    path: Path, output: Path, inputs: Sequence[Input], anatomy: Anatomy, series: str | None
) -> None:
    """Write the page of a call of `segment predict`, with the scans that have most flags.

    Args:
        path: The page.
        output: The folder of the masks.
        inputs: The inputs of the call; masks of other inputs are listed without their scan.
        anatomy: Plausible volumes and HU.
        series: As in `segment predict`.
    """
    sources = {item.name: item for item in inputs if not item.clash}
    cases, _ = match_cts(output, sources, None)
    with quiet():  # the CTs were read before
        write_prediction_page(path, output, cases, anatomy, Limits(_MAX_MB, _MAX_SCANS), series=series)
