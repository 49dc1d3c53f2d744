"""`segment doctor`: inspect a data set before anyone trains on it."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, Subset

from segment import build
from segment.data.cases import PARTS, Case
from segment.data.datamodule import MOST_WORKERS
from segment.data.inspect.anatomy import Anatomy
from segment.data.inspect.case import inspect
from segment.data.inspect.finding import Finding, by_case, refusal, worst
from segment.data.inspect.set import check_set
from segment.data.inspect.table import findings_json, grouped, print_findings
from segment.data.inspect.truth import drawn_in
from segment.door import door
from segment.errors import UserError
from segment.files import write_text
from segment.run.begin import begin
from segment.run.record import record
from segment.view import guard
from segment.view.sheet import Entry, write_sheets
from segment.view.thumbnail import draw_thumbnail


@dataclass(frozen=True)
class Seen:
    """What remains of a case when its voxels are gone."""

    findings: tuple[Finding, ...]
    voxel_hash: str
    thumbnail: bytes


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
            return Seen((_failure(case, "failed", "the inspection failed", error),), "", b"")
        if seen.scan is None:
            return Seen(seen.findings, seen.voxel_hash, b"")
        try:
            picture = draw_thumbnail(seen.scan.data, seen.classes, seen.scan.affine, self.organs)
        except Exception as error:  # which must not cost the findings
            failure = _failure(case, "picture", "it cannot be shown on the contact sheet", error)
            return Seen((*seen.findings, failure), seen.voxel_hash, b"")
        return Seen(seen.findings, seen.voxel_hash, picture)


def doctor(cfg: DictConfig) -> None:
    """Print what is wrong with a data set, and write findings.json and a contact sheet.

    Raises:
        UserError: When there are errors, or, with `strict`, warnings.
    """
    if not 0 <= cfg.num_workers <= MOST_WORKERS:
        msg = f"num_workers={cfg.num_workers} must lie between 0 and {MOST_WORKERS}"
        raise UserError(msg)
    anatomy: Anatomy = instantiate(cfg.anatomy, _convert_="all")
    cases, refused = build.usable_cases(cfg.data)
    if not cases and all(name in cfg.data.sources for name, _ in refused):
        raise refused[0][1]  # there is no data set
    drawn = {case.id: drawn_in(case.label) for case in cases}
    known = {structure for structures in drawn.values() for structure in structures}
    organs = [organ for organ in anatomy.volume_ml if organ in known]
    with begin(cfg, "doctor.log") as here:
        part_of, findings = _parts(cfg, cases)
        findings += [refusal(name, "unusable", error) for name, error in refused]
        record(here, cfg, {part: [name for name in part_of if part_of[name] == part] for part in PARTS}, {})
        seen = _inspect(Inspection(cases, organs, anatomy), cfg.num_workers)
        findings += [finding for one in seen.values() for finding in one.findings]
        hashes = {name: one.voxel_hash for name, one in seen.items()}
        findings += check_set(cases, drawn, organs, hashes, part_of, findings, build.left_out(cfg.data))
        count = len({*seen, *(name for name, _ in refused)} - {*cfg.data.sources})
        write_text(here.folder / "findings.json", findings_json(count, findings))
        print_findings(findings, Console())
        if unjudged := sorted(known - set(organs)):
            print(f"read, but not judged, for anatomy.volume_ml does not name them: {', '.join(unjudged)}")
        own = by_case(findings)
        with guard.picture("the contact sheet"):
            sheets = write_sheets(here.folder, [_entry(name, seen[name], own.get(name, ())) for name in seen], organs)
            print(f"contact sheet: {', '.join(map(str, sheets))}")
        print(f"run folder: {here.folder}")
        _conclude(count, findings, cfg.strict)


def _parts(cfg: DictConfig, cases: Sequence[Case]) -> tuple[dict[str, str], list[Finding]]:
    """Part of the split by case id, and what makes a split unusable."""
    if not cfg.get("split"):
        return {}, []
    try:
        split = instantiate(cfg.split, _convert_="all")(cases)
    except UserError as error:
        return {}, [refusal("split", "split", error)]
    return {name: part for part, names in split.ids().items() for name in names}, []


def _inspect(inspection: Inspection, num_workers: int) -> dict[str, Seen]:
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
            seen.append(Seen((Finding(inspection.cases[len(seen)].id, "killed", "error", what, remedy),), "", b""))
            workers = num_workers
    return {case.id: one for case, one in zip(inspection.cases, seen, strict=True)}


def _in_order(inspection: Inspection, start: int, num_workers: int) -> Iterable[Seen]:
    """What is seen of the cases from `start` on; a single process has one case in hand, the next one to come."""
    loader = DataLoader(
        Subset(inspection, range(start, len(inspection))),
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=1 if num_workers == 1 else None,
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


def _failure(case: Case, check: str, what: str, error: Exception) -> Finding:
    remedy = "look at the files; if they are in order, report this as a bug"
    return Finding(case.id, check, "error", f"{what}: {type(error).__name__}: {error}", remedy)


def _entry(name: str, seen: Seen, own: Sequence[Finding]) -> Entry:
    words = ", ".join(str(finding) for group in grouped(own) for finding in group) or "nothing found"
    return Entry(name, seen.thumbnail, worst(own), words)


def _conclude(cases: int, findings: Sequence[Finding], strict: bool) -> None:
    counts = [sum(f.severity == severity for f in findings) for severity in ("error", "warning", "note")]
    told = f"{counts[0]} error(s), {counts[1]} warning(s), {counts[2]} note(s) in {cases} case(s)"
    if counts[0] or (strict and counts[1]):
        raise UserError(told)
    print(told)


main = door("doctor")(doctor)

if __name__ == "__main__":
    main()
