"""`segment doctor`: inspect a data set before anyone trains on it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from segment import build
from segment.data.cases import PARTS, Case
from segment.data.inspect.anatomy import Anatomy
from segment.data.inspect.case import inspect
from segment.data.inspect.finding import Finding, by_case, refusal, worst
from segment.data.inspect.set import check_set
from segment.data.inspect.table import findings_json, grouped, print_findings
from segment.data.inspect.truth import drawn_in
from segment.data.workers import heed_only_the_parent
from segment.door import door
from segment.errors import UserError
from segment.files import write_text
from segment.run.begin import begin
from segment.run.record import record
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
            picture = b""
            if seen.scan is not None:
                picture = draw_thumbnail(seen.scan.data, seen.classes, seen.scan.affine, self.organs)
        except Exception as error:  # of whatever kind: thousands of other cases wait
            what = f"the inspection failed: {type(error).__name__}: {error}"
            remedy = "look at the files; if they are in order, report this as a bug"
            return Seen((Finding(case.id, "failed", "error", what, remedy),), "", b"")
        return Seen(seen.findings, seen.voxel_hash, picture)


def doctor(cfg: DictConfig) -> None:
    """Print what is wrong with a data set, and write findings.json and a contact sheet.

    Raises:
        UserError: When there are errors, or, with `strict`, warnings.
    """
    anatomy: Anatomy = instantiate(cfg.anatomy, _convert_="all")
    cases = build.cases(cfg.data)
    drawn = {case.id: drawn_in(case.label) for case in cases}
    known = {structure for structures in drawn.values() for structure in structures}
    organs = [organ for organ in anatomy.volume_ml if organ in known]
    with begin(cfg, "doctor.log") as here:
        part_of, findings = _parts(cfg, cases)
        record(here, cfg, {part: [name for name in part_of if part_of[name] == part] for part in PARTS}, {})
        seen = _inspect(Inspection(cases, organs, anatomy), cfg.num_workers)
        findings += [finding for one in seen.values() for finding in one.findings]
        hashes = {name: one.voxel_hash for name, one in seen.items()}
        findings += check_set(cases, drawn, organs, hashes, part_of, findings)
        write_text(here.folder / "findings.json", findings_json(len(cases), findings))
        own = by_case(findings)
        sheets = write_sheets(here.folder, [_entry(name, seen[name], own.get(name, ())) for name in seen], organs)
        print_findings(findings, Console())
        if unjudged := sorted(known - set(organs)):
            print(f"read, but not judged, for anatomy.volume_ml does not name them: {', '.join(unjudged)}")
        print(f"contact sheet: {', '.join(map(str, sheets))}\nrun folder: {here.folder}")
        _conclude(len(cases), findings, cfg.strict)


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

    Raises:
        UserError: When a process was killed, as the system does for lack of memory.
    """
    loader = DataLoader(
        inspection,
        batch_size=None,
        num_workers=num_workers,
        worker_init_fn=heed_only_the_parent,
        generator=torch.Generator(),
    )
    results = iter(loader)  # starts the workers, before the bar starts a thread
    bar = track(results, "inspecting", len(inspection), transient=True, console=Console(stderr=True))
    try:
        return {case.id: seen for case, seen in zip(inspection.cases, bar, strict=True)}
    except RuntimeError as error:  # the loader's own: those of checks are findings
        msg = f"a process that inspects cases ended ({error}); where memory is short, set num_workers=1"
        raise UserError(msg) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the readers' warnings, which are among the findings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


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
