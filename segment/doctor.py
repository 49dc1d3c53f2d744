"""`segment doctor`: inspect a data set before anyone trains on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from segment import build
from segment.configuration import config_dir
from segment.data.cases import PARTS, Case
from segment.data.datamodule import MOST_WORKERS
from segment.data.inspect.anatomy import Anatomy
from segment.data.inspect.codes import check_codes, public_tables
from segment.data.inspect.finding import Finding, by_case, refusal, worst
from segment.data.inspect.listing import code_table
from segment.data.inspect.set import check_set
from segment.data.inspect.shared import shared
from segment.data.inspect.table import findings_json, grouped, print_findings
from segment.data.inspect.truth import drawn_in, is_declared, label_file
from segment.data.labels import Codes
from segment.door import door
from segment.errors import UserError
from segment.files import write_text
from segment.inspection import Inspection, Seen, inspect_all
from segment.run.begin import begin
from segment.run.record import record
from segment.view import guard
from segment.view.sheet import Entry, write_sheets


def doctor(cfg: DictConfig) -> None:
    """Print what is wrong with a data set, and write findings.json and a contact sheet.

    Raises:
        UserError: When there are errors, or, with `strict`, warnings.
    """
    if not 0 <= cfg.num_workers <= MOST_WORKERS:
        msg = f"num_workers={cfg.num_workers} must lie between 0 and {MOST_WORKERS}"
        raise UserError(msg)
    anatomy: Anatomy = instantiate(cfg.anatomy, _convert_="all")
    cases, refused = build.usable_cases(_without_codes(cfg.data))
    if not cases and all(name in cfg.data.sources for name, _ in refused):
        raise refused[0][1]  # there is no data set
    drawn = {case.id: drawn_in(case.label) for case in cases if is_declared(case.label)}
    known = {structure for structures in drawn.values() for structure in structures}
    organs = [organ for organ in anatomy.volume_ml if organ in known]
    with begin(cfg, "doctor.log") as here:
        part_of, findings = _parts(cfg, cases)
        findings += [refusal(name, "unusable", error) for name, error in refused]
        record(here, cfg, {part: [name for name in part_of if part_of[name] == part] for part in PARTS}, {})
        seen = inspect_all(Inspection(cases, organs, anatomy), cfg.num_workers)
        findings += [finding for one in seen.values() for finding in one.findings]
        hashes = {name: one.voxel_hash for name, one in seen.items()}
        findings += check_set(cases, drawn, organs, hashes, part_of, findings, build.left_out(cfg.data))
        listed, of_codes = _codes(cfg, cases, seen, anatomy)
        findings = shared([*findings, *of_codes], [case.id for case in cases])
        count = len({*seen, *(name for name, _ in refused)} - {*cfg.data.sources})
        write_text(here.folder / "findings.json", findings_json(count, findings))
        for table in listed:
            Console().print(table)
        for finding in of_codes:
            print(f"{finding.what}: {finding.remedy}")  # in one piece, to be copied
        print_findings(findings, Console())
        if unjudged := sorted(known - set(organs)):
            print(f"read, but not judged, for anatomy.volume_ml does not name them: {', '.join(unjudged)}")
        own = by_case(findings)
        with guard.picture("the contact sheet"):
            sheets = write_sheets(here.folder, [_entry(name, seen[name], own.get(name, ())) for name in seen], organs)
            print(f"contact sheet: {', '.join(map(str, sheets))}")
        print(f"run folder: {here.folder}")
        _conclude(count, findings, cfg.strict)


def _without_codes(data: DictConfig) -> DictConfig:
    """The data with empty `label_codes` for sources that need these and have none: their codes are listed."""
    changed = data.copy()
    for node in changed.sources.values():
        if "_target_" in node and "label_codes" in node and node.label_codes is None:
            node.label_codes = {}
    return changed


def _codes(
    cfg: DictConfig, cases: Sequence[Case], seen: Mapping[str, Seen], anatomy: Anatomy
) -> tuple[list[Table], list[Finding]]:
    """Codes of every source with label files as a table, and what is wrong with their meanings."""
    others = OmegaConf.to_container(cfg.code_tables)
    tables = public_tables(Path(config_dir()), cast("Mapping[str, Codes]", others))
    listed: list[Table] = []
    findings: list[Finding] = []
    for source in cfg.data.sources:
        own = {case.id: file for case in cases if case.id.split("/")[0] == source and (file := label_file(case.label))}
        codes = [seen[name].codes for name in own]
        if any(codes):
            declared = next(iter(own.values())).codes
            listed.append(code_table(str(source), codes, declared))
            is_option = "label_codes" in cfg.data.sources[source]
            findings += check_codes(str(source), codes, declared, tables, anatomy, is_option)
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
