"""Merge findings that most cases of a source share into one finding about the source."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from segment.doctor.finding import Finding, Severity

# In a single case these may be right, for example with a transplanted kidney. In most cases of a source they are not.
EXCEPTIONAL = ("position", "sides")
FEW = 3  # up to this number, findings are not merged


def merge_shared(findings: Sequence[Finding], cases: Sequence[str]) -> list[Finding]:
    """Replace findings that more than half of a source's cases share by one finding, which names all these cases.

    A shared note becomes a warning. A shared warning about an organ's position becomes an error, even if the source has
    only a few cases.

    Args:
        findings: Findings about cases and about sources.
        cases: Ids of all cases.
    """
    sizes = Counter(name.split("/")[0] for name in cases)
    groups: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[_kind(finding)].append(finding)
    merged: list[Finding] = []
    for group in groups.values():
        source = group[0].case.split("/")[0]
        merged += _merge(group, sizes[source])
    return merged


def _kind(finding: Finding) -> tuple[str, ...]:
    """Return a key that is equal for findings that differ only in their case and in numbers."""
    source, _, name = finding.case.partition("/")
    what = re.sub(rf"(?<=/){re.escape(name)}[^/\s]*", "", finding.what)  # the case's files
    what = re.sub(r"-?\d[\d.e+]*", "#", what)
    return source, finding.check, finding.severity, finding.organ, what, finding.remedy


def _merge(group: Sequence[Finding], size: int) -> Iterator[Finding]:
    """Merge findings of one kind if more than half of the source's `size` cases share them."""
    first = group[0]
    is_about_one_case = "/" in first.case and len(first.cases) == 1
    if 2 * len(group) <= size or not is_about_one_case:
        yield from group
        return
    severity: Severity = first.severity
    if first.check in EXCEPTIONAL:
        severity = "error"
    elif severity == "note" and len(group) > FEW:
        severity = "warning"
    if len(group) <= FEW:
        yield from (Finding(f.case, f.check, severity, f.what, f.remedy, f.organ) for f in group)
        return
    names = ", ".join(finding.case for finding in group)
    share = f"in {len(group)} of {size} cases"
    if any(finding.what != first.what for finding in group):
        share += f"; the numbers are from {first.case}"
    yield Finding(names, first.check, severity, f"{first.what} ({share})", first.remedy, first.organ)
