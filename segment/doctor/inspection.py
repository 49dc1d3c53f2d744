"""The inspection of many cases by several processes, of which one bad case takes none of the others along."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, Subset

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place
from segment.data.loader_workers import heed_only_the_parent
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, failure
from segment.doctor.inspect_case import inspect
from segment.doctor.thumbnail import draw_thumbnail


@dataclass(frozen=True)
class Seen:
    """What remains of a case when its voxels are gone."""

    findings: tuple[Finding, ...]
    voxel_hash: str
    thumbnail: bytes
    codes: Mapping[int, Place]


class Inspection(Dataset[Seen]):
    """Lets a DataLoader's workers inspect cases, in order.

    Args:
        cases: The cases.
        organs: Those to judge and draw.
        anatomy: What is plausible.
    """

    def __init__(self, cases: Sequence[Case], organs: Sequence[str], anatomy: Anatomy) -> None:
        self.cases = cases
        self.organs = organs
        self.anatomy = anatomy

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Seen:
        case = self.cases[index]
        try:
            with _quiet():
                seen = inspect(case, self.organs, self.anatomy)
        except Exception as error:  # of whatever kind: thousands of other cases wait
            return Seen((failure(case.id, "failed", "the inspection failed", error),), "", b"", {})
        if seen.scan is None:
            return Seen(seen.findings, seen.voxel_hash, b"", seen.codes)
        try:
            picture = draw_thumbnail(seen.scan.data, seen.classes, seen.scan.affine, self.organs)
        except Exception as error:  # which must not cost the findings
            failed = failure(case.id, "picture", "it cannot be shown on the contact sheet", error)
            return Seen((*seen.findings, failed), seen.voxel_hash, b"", seen.codes)
        return Seen(seen.findings, seen.voxel_hash, picture, seen.codes)


def inspect_all(inspection: Inspection, num_workers: int) -> dict[str, Seen]:
    """What was seen of each case, by its id.

    A process that is killed, as the system does for lack of memory, costs one case: after it, a single process inspects
    one case at a time, until it is known which case that is.
    """
    seen: list[Seen] = []
    workers = num_workers
    while len(seen) < len(inspection):
        try:
            for one in _in_order(inspection, len(seen), workers):
                seen.append(one)  # what came before an error is kept
        except RuntimeError as error:  # the loader's own: those of checks are findings
            if workers > 1:
                workers = 1
                continue
            what = f"the process that inspected it ended: {error}"
            remedy = "if memory is short, inspect fewer cases at once (num_workers=1) or on a larger machine"
            seen.append(Seen((Finding(inspection.cases[len(seen)].id, "killed", "error", what, remedy),), "", b"", {}))
            workers = num_workers
    return {case.id: one for case, one in zip(inspection.cases, seen, strict=True)}


def _in_order(inspection: Inspection, start: int, num_workers: int) -> Iterable[Seen]:
    """What is seen of the cases from `start` on; a single process has one case in hand, the next one to come."""
    loader = DataLoader(
        Subset(inspection, range(start, len(inspection))),
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=1 if num_workers == 1 else None,
        worker_init_fn=heed_only_the_parent,
        generator=torch.Generator(),
    )
    results = iter(loader)  # starts the workers, before the bar starts a thread
    count = len(inspection) - start
    return track(results, "inspecting", count, transient=True, console=Console(stderr=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the readers' warnings, which are among the findings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
