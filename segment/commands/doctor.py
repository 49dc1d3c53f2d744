"""`segment doctor`: inspect a data set before anyone trains on it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from segment import build
from segment.anatomy.anatomy import Anatomy
from segment.commands.command import hydra_command
from segment.configuration.values import config_dir
from segment.datasets.cases import PARTS, Case
from segment.doctor.codes import Table as CodeTable
from segment.doctor.codes import check_codes, public_tables
from segment.doctor.contact_sheet import Entry, write_sheets
from segment.doctor.finding import Finding, by_case, failures, refusal, worst
from segment.doctor.findings_table import findings_json, grouped, print_findings
from segment.doctor.inspection import Inspection, Seen, inspect_all
from segment.doctor.listing import code_table
from segment.doctor.reference import drawn_in, is_declared, label_file
from segment.doctor.set import check_set
from segment.doctor.shared import shared
from segment.errors import UserError
from segment.files import write_text
from segment.io.label_codes import Codes
from segment.run.open_run import open_run
from segment.run.record import record
from segment.view import failsafe as guard

SET = "all cases"  # what findings of no single source are about


@dataclass(frozen=True)
class Gathered:
    """What the checks of a data set as a whole go by.

    Attributes:
        cases: All that can be listed.
        part_of: Part of the split by case id; empty without a split.
        drawn: Structures that labels know, by case id.
        organs: Those of them that are judged.
        seen: What remains of each case, by its id.
    """

    cases: Sequence[Case]
    part_of: Mapping[str, str]
    drawn: Mapping[str, Collection[str]]
    organs: Sequence[str]
    seen: Mapping[str, Seen]


def doctor(cfg: DictConfig) -> None:
    """Print what is wrong with a data set, and write findings.json and a contact sheet.

    Raises:
        UserError: When there are errors, or, with `strict`, warnings.
    """
    anatomy: Anatomy = instantiate(cfg.anatomy, _convert_="all")
    cases, refused = build.usable_cases(_without_codes(cfg.data))
    if not cases and all(name in cfg.data.sources for name, _ in refused):
        raise refused[0][1]  # there is no data set
    with open_run(cfg, "doctor.log") as here:
        part_of, findings = _parts(cfg, cases)
        findings += [refusal(name, "unusable", error) for name, error in refused]
        record(here, cfg, {part: [name for name in part_of if part_of[name] == part] for part in PARTS}, {})
        gathered = _gathered(cfg, cases, anatomy, part_of)
        findings += [finding for one in gathered.seen.values() for finding in one.findings]
        listed, of_codes = _codes(cfg, gathered, anatomy)
        every = sorted({*gathered.seen, *(name for name, _ in refused)} - {*cfg.data.sources})
        findings = _of_all(cfg, gathered, every, findings, of_codes)
        count = len(every)
        write_text(here.folder / "findings.json", findings_json(count, findings))
        _print(listed, of_codes, findings, gathered)
        _write_sheets(here.folder, findings, gathered)
        print(f"run folder: {here.folder}")
        _conclude(count, findings, cfg.strict)


def _gathered(cfg: DictConfig, cases: Sequence[Case], anatomy: Anatomy, part_of: Mapping[str, str]) -> Gathered:
    """Inspect every case by itself."""
    drawn = {case.id: drawn_in(case.label) for case in cases if is_declared(case.label)}
    known = {structure for structures in drawn.values() for structure in structures}
    organs = [organ for organ in anatomy.volume_ml if organ in known]
    seen = inspect_all(Inspection(cases, organs, anatomy), cfg.num_workers)
    return Gathered(cases, part_of, drawn, organs, seen)


def _of_all(
    cfg: DictConfig,
    gathered: Gathered,
    every: Sequence[str],
    findings: Sequence[Finding],
    of_codes: Sequence[Finding],
) -> list[Finding]:
    """Findings of the single cases and of the set as a whole, and those that most cases share as one."""
    found = list(findings)
    hashes = {name: one.voxel_hash for name, one in gathered.seen.items()}
    with failures(found, SET, "the checks of the data set as a whole failed"):
        left_out = build.left_out(cfg.data)
        found += check_set(
            gathered.cases, gathered.drawn, gathered.organs, hashes, gathered.part_of, findings, left_out
        )
    found += of_codes
    with failures(found, SET, "what most cases share could not be told from the rest"):
        return shared(found, every)
    return found


def _without_codes(data: DictConfig) -> DictConfig:
    """The data with empty `label_codes` for sources that need these and have none: their codes are listed."""
    changed = data.copy()
    for node in changed.sources.values():
        if "_target_" in node and "label_codes" in node and node.label_codes is None:
            node.label_codes = {}
    return changed


def _codes(cfg: DictConfig, gathered: Gathered, anatomy: Anatomy) -> tuple[list[Table], list[Finding]]:
    """Codes of every source with label files as a table, and what is wrong with their meanings."""
    listed: list[Table] = []
    findings: list[Finding] = []
    tables: Sequence[CodeTable] = ()
    with failures(findings, SET, "the public tables of codes could not be read"):
        others = OmegaConf.to_container(cfg.code_tables)
        tables = public_tables(Path(config_dir()), cast("Mapping[str, Codes]", others))
    files = {case.id: file for case in gathered.cases if (file := label_file(case.label))}
    for source in map(str, cfg.data.sources):
        own = {name: file for name, file in files.items() if name.split("/")[0] == source}
        codes = [gathered.seen[name].codes for name in own]
        if any(codes):
            declared = next(iter(own.values())).codes
            is_option = "label_codes" in cfg.data.sources[source]
            with failures(findings, source, "the check of its codes failed"):
                listed.append(code_table(source, codes, declared))
                findings += check_codes(source, codes, declared, tables, anatomy, is_option)
    return listed, findings


def _parts(cfg: DictConfig, cases: Sequence[Case]) -> tuple[dict[str, str], list[Finding]]:
    """Part of the split by case id, and what makes a split unusable."""
    if not cfg.get("split"):
        return {}, []
    try:
        split = instantiate(cfg.split, _convert_="all")(cases)
    except UserError as error:
        return {}, [refusal("split", "split", error)]
    return {name: part for part, names in split.ids().items() for name in names}, []


def _print(
    listed: Sequence[Table], of_codes: Sequence[Finding], findings: Sequence[Finding], gathered: Gathered
) -> None:
    for table in listed:
        Console().print(table)
    for finding in of_codes:
        print(f"{finding.what}: {finding.remedy}")  # in one piece, to be copied
    print_findings(findings, Console())
    known = {structure for structures in gathered.drawn.values() for structure in structures}
    if unjudged := sorted(known - set(gathered.organs)):
        print(f"read, but not judged, for anatomy.volume_ml does not name them: {', '.join(unjudged)}")


def _write_sheets(folder: Path, findings: Sequence[Finding], gathered: Gathered) -> None:
    own = by_case(findings)
    with guard.picture("the contact sheet"):
        entries = [_entry(name, one, own.get(name, ())) for name, one in gathered.seen.items()]
        print(f"contact sheet: {', '.join(map(str, write_sheets(folder, entries, gathered.organs)))}")


def _entry(name: str, seen: Seen, own: Sequence[Finding]) -> Entry:
    words = ", ".join(str(finding) for group in grouped(own) for finding in group) or "nothing found"
    return Entry(name, seen.thumbnail, worst(own), words)


def _conclude(cases: int, findings: Sequence[Finding], strict: bool) -> None:
    counts = [sum(f.severity == severity for f in findings) for severity in ("error", "warning", "note")]
    told = f"{counts[0]} error(s), {counts[1]} warning(s), {counts[2]} note(s) in {cases} case(s)"
    if counts[0] or (strict and counts[1]):
        raise UserError(told)
    print(told)


main = hydra_command("doctor")(doctor)

if __name__ == "__main__":
    main()
