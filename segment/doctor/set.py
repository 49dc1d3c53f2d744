"""Checks across cases: the same CT twice, names that differ in spelling only, organs that are always absent."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from segment.datasets.cases import Case
from segment.doctor.finding import Finding, Severity
from segment.io.left_out import LeftOut, describe_group, group_by_reason


def check_set(
    cases: Sequence[Case],
    annotated: Mapping[str, Collection[str]],
    organs: Sequence[str],
    hashes: Mapping[str, str],
    part_of: Mapping[str, str],
    shown: Mapping[str, Collection[str] | None],
    left_out: Mapping[str, Sequence[LeftOut]],
) -> list[Finding]:
    """Run all checks of this module.

    Args:
        cases: All cases.
        annotated: Structures that the cases' labels annotate, by case id.
        organs: The organs that are checked.
        hashes: `voxel_hash` by case id. Empty if a CT cannot be read.
        part_of: Part of the split by case id. Empty without a split.
        shown: Organs that the label of each case shows, by case id; None if it cannot be read.
        left_out: Files that belong to no case, by source.
    """
    return [
        *check_left_out(left_out),
        *check_duplicates(cases, hashes, part_of),
        *check_names(cases),
        *check_sources(annotated, organs),
        *check_absent(annotated, organs, shown),
    ]


def check_left_out(left_out: Mapping[str, Sequence[LeftOut]]) -> Iterator[Finding]:
    """Report the files of each source that belong to no case."""
    for source, own in left_out.items():
        for group in group_by_reason(own):
            description = describe_group(group)
            if group[0].is_expected:
                remedy = "none, if these files are not meant to be cases"
                yield Finding(source, "left out", "note", description, remedy)
            else:
                what, _, remedy = description.rpartition("; ")
                yield Finding(source, "left out", "error", what, remedy)


def check_duplicates(cases: Sequence[Case], hashes: Mapping[str, str], part_of: Mapping[str, str]) -> Iterator[Finding]:
    """Report CTs with the same voxels, in any orientation or file format."""
    same: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if hashes[case.id]:
            same[hashes[case.id]].append(case)
    for group in same.values():
        if len(group) == 1:
            continue
        names = ", ".join(case.id for case in group)
        parts = sorted({part_of[case.id] for case in group if case.id in part_of})
        what = "these contain the same CT"
        if len(parts) > 1:
            what += f", in {' and '.join(parts)}"
        one_patient = len({case.patient for case in group}) == 1
        severity: Severity = "warning" if one_patient and len(parts) < 2 else "error"
        remedy = "keep one of them and remove the others with their labels"
        yield Finding(names, "duplicate", severity, what, remedy)


def check_names(cases: Sequence[Case]) -> Iterator[Finding]:
    """Report cases of different patients whose names differ only in case, leading zeros, punctuation or `copy`."""
    alike: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        source, _, name = case.id.partition("/")
        alike[source, _simplify(name)].append(case)
    for group in alike.values():
        if len({case.patient for case in group}) > 1:
            names = ", ".join(case.id for case in group)
            what = "these names differ in spelling only, but count as different patients"
            remedy = "rename them, or set patient_pattern so that they are one patient"
            yield Finding(names, "similar names", "warning", what, remedy)


def check_sources(annotated: Mapping[str, Collection[str]], organs: Sequence[str]) -> Iterator[Finding]:
    """Report sources without any structure that is checked."""
    structures: dict[str, set[str]] = defaultdict(set)
    for case, names in annotated.items():
        structures[case.split("/")[0]].update(names)
    for source, known in structures.items():
        if known.isdisjoint(organs):
            what = (
                f"anatomy.volume_ml does not name {', '.join(sorted(known)) or 'its structures'}: no label was checked"
            )
            remedy = (
                "name its organs as conf/anatomy/default.yaml does, or add +anatomy.volume_ml.<organ>=[<least>,<most>]"
            )
            yield Finding(source, "nothing checked", "warning", what, remedy)


def check_absent(
    annotated: Mapping[str, Collection[str]], organs: Sequence[str], shown: Mapping[str, Collection[str] | None]
) -> Iterator[Finding]:
    """Report organs that a source annotates in several cases, but that are absent in all whose label can be read."""
    sources: dict[str, dict[str, Collection[str]]] = defaultdict(dict)
    for case in annotated:
        organs_of_case = shown.get(case)
        if organs_of_case is not None:
            sources[case.split("/")[0]][case] = organs_of_case
    for source, group in sources.items():
        for organ in organs:
            with_organ = [case for case in group if organ in annotated[case]]
            if len(with_organ) > 1 and not any(organ in group[case] for case in with_organ):
                what = f"none of {len(with_organ)} cases holds {organ}, though the data set declares it"
                remedy = "correct its code or mask where it is declared, or leave it out"
                yield Finding(source, "always absent", "error", what, remedy, organ)


def _simplify(name: str) -> str:
    """Return a name without differences in spelling, for example `case 1` for `Case_01` and `case-1 copy`.

    Letters of all scripts are kept. Normalisation makes composed and decomposed accents equal.
    """
    words = re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFKC", name).casefold())
    kept = [word.lstrip("0") or "0" for word in words if word not in ("copy", "kopie")]
    return " ".join(kept)
