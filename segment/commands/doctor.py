"""`segment doctor`: check a data set for errors before training."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.sides import warn_of_sides
from segment.commands import configured_cases
from segment.commands.command import hydra_command
from segment.commands.pages import page_at_end
from segment.configuration.instantiate import instantiate
from segment.configuration.values import config_dir
from segment.data.splits.split import check_trains, not_made
from segment.datasets.cases import PARTS, Case
from segment.doctor.code_table import code_table
from segment.doctor.codes import Table as CodeTable
from segment.doctor.codes import check_codes, public_tables
from segment.doctor.contact_sheet import Entry, write_sheets
from segment.doctor.finding import Finding, by_case, failures, refusal, worst
from segment.doctor.findings_table import findings_json, group_findings, print_findings
from segment.doctor.inspection import CaseSummary, Inspection, inspect_all
from segment.doctor.reference import annotated_structures, is_declared, label_file
from segment.doctor.set import check_set
from segment.doctor.shared import merge_shared
from segment.errors import UserError
from segment.files import write_text
from segment.io.label_codes import Codes
from segment.run.open_run import open_run
from segment.run.record import record
from segment.view import failsafe
from segment.view.page.data_set import FINDINGS, write_data_set_page

SET = "all cases"  # subject of findings that concern no single source


@dataclass(frozen=True)
class InspectedSet:
    """A data set, with the results of inspecting each case.

    Attributes:
        cases: All cases that can be listed.
        part_of: Part of the split by case id; empty without a split.
        annotated: Annotated structures by case id.
        organs: The annotated structures that are checked.
        summaries: Results of the inspections by case id.
    """

    cases: Sequence[Case]
    part_of: Mapping[str, str]
    annotated: Mapping[str, Collection[str]]
    organs: Sequence[str]
    summaries: Mapping[str, CaseSummary]


def doctor(cfg: DictConfig) -> None:
    """Check a data set: print the findings, and write findings.json and a contact sheet.

    Raises:
        UserError: When there are errors, or, with `strict`, warnings.
    """
    anatomy: Anatomy = instantiate(cfg.anatomy)
    cases, refused = configured_cases.usable_cases(_without_codes(cfg.data))
    if not cases and all(name in cfg.data.sources for name, _ in refused):
        raise refused[0][1]  # there is no data set
    with open_run(cfg, "doctor.log") as run:
        part_of, findings = _parts(cfg, cases)
        findings += [refusal(name, "unusable", error) for name, error in refused]
        split: dict[str, list[str]] = {part: [] for part in PARTS}
        for name, part in part_of.items():
            split[part].append(name)
        record(run, cfg, split, {})
        inspected = _inspect(cfg, cases, anatomy, part_of)
        for summary in inspected.summaries.values():
            findings += summary.findings
        tables, code_findings = _check_codes(cfg, inspected, anatomy)
        case_names = sorted({*inspected.summaries, *(name for name, _ in refused)} - {*cfg.data.sources})
        findings = _check_set(cfg, inspected, case_names, findings, code_findings)
        count = len(case_names)
        write_text(run.folder / FINDINGS, findings_json(count, findings))
        _print(tables, code_findings, findings, inspected)
        warn_of_sides(inspected.organs, anatomy)
        _write_sheets(run.folder, findings, inspected)
        print(f"run folder: {run.folder}")
        page_at_end(cfg.page, run.folder, write_data_set_page)
        _conclude(count, findings, cfg.strict)


def _inspect(cfg: DictConfig, cases: Sequence[Case], anatomy: Anatomy, part_of: Mapping[str, str]) -> InspectedSet:
    """Inspect each case."""
    annotated = {case.id: annotated_structures(case.label) for case in cases if is_declared(case.label)}
    known = set().union(*annotated.values())
    organs = [organ for organ in anatomy.volume_ml if organ in known]
    summaries = inspect_all(Inspection(cases, organs, anatomy), cfg.num_workers)
    return InspectedSet(cases, part_of, annotated, organs, summaries)


def _check_set(
    cfg: DictConfig,
    inspected: InspectedSet,
    case_names: Sequence[str],
    findings: Sequence[Finding],
    code_findings: Sequence[Finding],
) -> list[Finding]:
    """Check the data set as a whole.

    Returns:
        All findings; a finding that most cases share is listed once.
    """
    found = list(findings)
    hashes = {name: summary.voxel_hash for name, summary in inspected.summaries.items()}
    with failures(found, SET, "the checks of the data set as a whole failed"):
        left_out = configured_cases.left_out(cfg.data)
        # A synthetic CT lacks what its label map lacks or its field of view cuts off, which is no error of the set.
        real = {case.id for case in not_made(inspected.cases)}
        annotated = {name: structures for name, structures in inspected.annotated.items() if name in real}
        shown = {name: summary.shown for name, summary in inspected.summaries.items()}
        found += check_set(inspected.cases, annotated, inspected.organs, hashes, inspected.part_of, shown, left_out)
    found += code_findings
    with failures(found, SET, "findings that most cases share could not be merged"):
        return merge_shared(found, case_names)
    return found


def _without_codes(data: DictConfig) -> DictConfig:
    """Set `label_codes` to empty where they are missing, so that the codes of these sources can be listed."""
    changed = data.copy()
    OmegaConf.set_readonly(changed, False)
    for node in changed.sources.values():
        if "_target_" in node and "label_codes" in node and node.label_codes is None:
            node.label_codes = {}
    return changed


def _check_codes(cfg: DictConfig, inspected: InspectedSet, anatomy: Anatomy) -> tuple[list[Table], list[Finding]]:
    """List the codes of every source with label files as a table, and check their meanings."""
    listed: list[Table] = []
    findings: list[Finding] = []
    public: Sequence[CodeTable] = ()
    with failures(findings, SET, "the public tables of codes could not be read"):
        others = OmegaConf.to_container(cfg.code_tables)
        public = public_tables(Path(config_dir()), cast("Mapping[str, Codes]", others))
    files = {case.id: label_file(case.label) for case in inspected.cases}
    for source in map(str, cfg.data.sources):
        own = {name: file for name, file in files.items() if file and name.split("/")[0] == source}
        codes = [inspected.summaries[name].codes for name in own]
        if any(codes):
            declared = next(iter(own.values())).codes
            is_option = "label_codes" in cfg.data.sources[source]
            with failures(findings, source, "the check of its codes failed"):
                listed.append(code_table(source, codes, declared))
                findings += check_codes(source, codes, declared, public, anatomy, is_option)
    return listed, findings


def _parts(cfg: DictConfig, cases: Sequence[Case]) -> tuple[dict[str, str], list[Finding]]:
    """Part of the split by case id, and a finding if the split is unusable."""
    if not cfg.get("split"):
        return {}, []
    try:
        split = check_trains(instantiate(cfg.split)(cases))
    except UserError as error:
        return {}, [refusal("split", "split", error)]
    part_of = {}
    for part, names in split.ids().items():
        part_of.update(dict.fromkeys(names, part))
    return part_of, []


def _print(
    tables: Sequence[Table], code_findings: Sequence[Finding], findings: Sequence[Finding], inspected: InspectedSet
) -> None:
    for table in tables:
        Console().print(table)
    for finding in code_findings:
        print(f"{finding.what}: {finding.remedy}")  # on one line, because users copy an option from it
    print_findings(findings, Console())
    known = set().union(*inspected.annotated.values())
    unchecked = sorted(known - set(inspected.organs))
    if unchecked:
        print(f"not checked, because anatomy.volume_ml does not name them: {', '.join(unchecked)}")


def _write_sheets(folder: Path, findings: Sequence[Finding], inspected: InspectedSet) -> None:
    own = by_case(findings)
    with failsafe.warn_on_error("the contact sheet"):
        entries = [_entry(name, summary, own.get(name, ())) for name, summary in inspected.summaries.items()]
        print(f"contact sheet: {', '.join(map(str, write_sheets(folder, entries, inspected.organs)))}")


def _entry(name: str, summary: CaseSummary, own: Sequence[Finding]) -> Entry:
    findings = [str(finding) for finding in chain.from_iterable(group_findings(own))]
    return Entry(name, summary.thumbnail, worst(own), ", ".join(findings) or "nothing found")


def _conclude(cases: int, findings: Sequence[Finding], strict: bool) -> None:
    counts = Counter(finding.severity for finding in findings)
    summary = f"{counts['error']} error(s), {counts['warning']} warning(s), {counts['note']} note(s) in {cases} case(s)"
    if counts["error"] or (strict and counts["warning"]):
        raise UserError(summary)
    print(summary)


main = hydra_command("doctor")(doctor)

if __name__ == "__main__":
    main()
