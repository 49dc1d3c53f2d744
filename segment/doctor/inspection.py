"""Inspect many cases in several processes. A bad case does not affect the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, Subset

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.structure import Structure
from segment.data.loader_workers import ignore_job_signals, signals_held_back
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, failure
from segment.doctor.inspect_case import inspect
from segment.doctor.thumbnail import render_thumbnail
from segment.io.quiet import quiet


@dataclass(frozen=True)
class CaseSummary:
    """What is kept of an inspected case: everything but its voxels.

    Attributes:
        findings: In the order of the checks.
        voxel_hash: Hash of the CT, or an empty string if it cannot be read.
        thumbnail: PNG from `render_thumbnail`, or empty if the case cannot be shown.
        codes: Structure of every code in a label file.
        shown: As in `Inspected`.
    """

    findings: tuple[Finding, ...]
    voxel_hash: str = ""
    thumbnail: bytes = b""
    codes: Mapping[int, Structure] = field(default_factory=dict)
    shown: frozenset[str] | None = None


class Inspection(Dataset[CaseSummary]):
    """A dataset that inspects a case on access, so that a DataLoader's workers inspect cases in order.

    Args:
        cases: The cases.
        organs: The organs to check and show.
        anatomy: The configured anatomy.
    """

    def __init__(self, cases: Sequence[Case], organs: Sequence[str], anatomy: Anatomy) -> None:
        self.cases = cases
        self.organs = organs
        self.anatomy = anatomy

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> CaseSummary:
        case = self.cases[index]
        try:
            with quiet():
                inspected = inspect(case, self.organs, self.anatomy)
        except Exception as error:  # any bug in a check; the other cases must still be inspected
            return CaseSummary((failure(case.id, "failed", "the inspection failed", error),))
        findings, thumbnail = inspected.findings, b""
        if inspected.scan is not None:
            try:
                thumbnail = render_thumbnail(inspected.scan.data, inspected.classes, inspected.scan.affine, self.organs)
            except Exception as error:  # the findings must not be lost
                what = "it cannot be shown on the contact sheet"
                findings = (*findings, failure(case.id, "picture", what, error))
        return CaseSummary(findings, inspected.voxel_hash, thumbnail, inspected.codes, inspected.shown)


def inspect_all(inspection: Inspection, num_workers: int) -> dict[str, CaseSummary]:
    """Return the summary of each case, by its id.

    The system may kill a worker, for example for lack of memory. This costs only the case that it inspected. To find
    that case, a single worker then inspects one case at a time until it is killed, too.
    """
    summaries: list[CaseSummary] = []
    workers = num_workers
    while len(summaries) < len(inspection):
        try:
            for summary in _in_order(inspection, len(summaries), workers):
                summaries.append(summary)  # not extend: keep the summaries before an error
        except RuntimeError as error:  # from the loader; errors of checks are findings
            if workers > 1:
                workers = 1
                continue
            what = f"the process that inspected it ended: {error}"
            remedy = "if memory is short, inspect fewer cases at once (num_workers=1) or on a larger machine"
            killed = inspection.cases[len(summaries)].id
            summaries.append(CaseSummary((Finding(killed, "killed", "error", what, remedy),)))
            workers = num_workers
    return {case.id: summary for case, summary in zip(inspection.cases, summaries, strict=True)}


def _in_order(inspection: Inspection, start: int, num_workers: int) -> Iterable[CaseSummary]:
    """Yield the summaries of the cases from `start` on. A single worker does not inspect ahead of the next summary."""
    loader = DataLoader(
        Subset(inspection, range(start, len(inspection))),
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=1 if num_workers == 1 else None,
        worker_init_fn=ignore_job_signals,
        generator=torch.Generator(),
    )
    with signals_held_back():
        results = iter(loader)  # starts the workers before the progress bar starts a thread
    count = len(inspection) - start
    return track(results, "inspecting", count, transient=True, console=Console(stderr=True))
