"""What only shows between cases: the same CT twice, names that differ in spelling, organs that are never there."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from segment.datasets.cases import Case
from segment.doctor.finding import Finding, Severity
from segment.io.left_out import LeftOut, grouped, line


def check_set(
    cases: Sequence[Case],
    drawn: Mapping[str, Collection[str]],
    organs: Sequence[str],
    hashes: Mapping[str, str],
    part_of: Mapping[str, str],
    findings: Sequence[Finding],
    left_out: Mapping[str, Sequence[LeftOut]],
) -> list[Finding]:
    """Everything below.

    Args:
        cases: All cases.
        drawn: Structures that their labels know, by case id.
        organs: The organs that are judged.
        hashes: `voxel_hash` by case id; empty where a CT cannot be read.
        part_of: Part of the split by case id; empty without a split.
        findings: Of the single cases.
        left_out: Files that belong to no case, by source.
    """
    return [
        *check_left_out(left_out),
        *check_duplicates(cases, hashes, part_of),
        *check_names(cases),
        *check_judged(drawn, organs),
        *check_absent(drawn, organs, findings),
    ]


def check_left_out(left_out: Mapping[str, Sequence[LeftOut]]) -> Iterator[Finding]:
    """Files of each source that belong to no case."""
    for source, own in left_out.items():
        for group in grouped(own):
            what, _, remedy = line(group).rpartition("; ")
            if group[0].is_expected:
                yield Finding(source, "left out", "note", line(group), "none, if these are not meant to be cases")
            else:
                yield Finding(source, "left out", "error", what, remedy)


def check_duplicates(cases: Sequence[Case], hashes: Mapping[str, str], part_of: Mapping[str, str]) -> Iterator[Finding]:
    """CTs that are the same voxel for voxel, in whatever orientation or file."""
    same: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if hashes[case.id]:
            same[hashes[case.id]].append(case)
    for group in same.values():
        if len(group) == 1:
            continue
        names = ", ".join(case.id for case in group)
        parts = sorted({part_of[case.id] for case in group if case.id in part_of})
        what = "these hold the same CT" + (f", in {' and '.join(parts)}" if len(parts) > 1 else "")
        one_patient = len({case.patient for case in group}) == 1
        severity: Severity = "warning" if one_patient and len(parts) < 2 else "error"
        remedy = "keep one of them and remove the others with their labels"
        yield Finding(names, "duplicate", severity, what, remedy)


def check_names(cases: Sequence[Case]) -> Iterator[Finding]:
    """Cases of two patients whose names differ in case, leading zeros, punctuation or a word like copy."""
    alike: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        source, _, name = case.id.partition("/")
        alike[source, _plain(name)].append(case)
    for group in alike.values():
        if len({case.patient for case in group}) > 1:
            names = ", ".join(case.id for case in group)
            what = "these names differ in spelling alone, but count as different patients"
            remedy = "rename them, or set patient_pattern so that they are one patient"
            yield Finding(names, "similar names", "warning", what, remedy)


def check_judged(drawn: Mapping[str, Collection[str]], organs: Sequence[str]) -> Iterator[Finding]:
    """Sources of whose labels nothing is judged."""
    structures: dict[str, set[str]] = defaultdict(set)
    for case, names in drawn.items():
        structures[case.split("/")[0]].update(names)
    for source, known in structures.items():
        if not known & set(organs):
            what = f"nothing is known of {', '.join(sorted(known)) or 'its labels'}: no label was judged"
            remedy = (
                "name its organs as conf/anatomy/default.yaml does, or add +anatomy.volume_ml.<organ>=[<least>,<most>]"
            )
            yield Finding(source, "nothing judged", "warning", what, remedy)


def check_absent(
    drawn: Mapping[str, Collection[str]], organs: Sequence[str], findings: Sequence[Finding]
) -> Iterator[Finding]:
    """Organs that a source annotates in several cases and never has."""
    absent = {(finding.case, finding.organ) for finding in findings if finding.check == "absent"}
    sources: dict[str, list[str]] = defaultdict(list)
    for case in drawn:
        sources[case.split("/")[0]].append(case)
    for source, group in sources.items():
        for organ in organs:
            having = [case for case in group if organ in drawn[case]]
            if len(having) > 1 and all((case, organ) in absent for case in having):
                what = f"none of {len(having)} cases holds {organ}, though the data set declares it"
                remedy = "correct its code or mask where it is declared, or leave it out"
                yield Finding(source, "always absent", "error", what, remedy, organ)


def _plain(name: str) -> str:
    """A name without what spelling may change: letters of any script stay, however their accents are stored."""
    words = re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFKC", name).casefold())
    kept = [word.lstrip("0") or "0" for word in words if word not in ("copy", "kopie")]
    return " ".join(kept)
