"""What most cases of a source have in common is one finding about the source."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from segment.doctor.finding import Finding, Severity

# Where one case alone may be an exception, such as a transplanted kidney, most cases are not.
EXCEPTIONAL = ("place", "sides")
FEW = 3  # findings up to which each stands for itself


def shared(findings: Sequence[Finding], cases: Sequence[str]) -> list[Finding]:
    """The findings, with one in place of those that more than half of a source's cases share.

    Such a finding names all its cases. A note becomes a warning. A warning that an organ lies elsewhere becomes an
    error, however few cases there are.

    Args:
        findings: Of single cases and of sets.
        cases: Ids of all cases.
    """
    sizes = Counter(name.split("/")[0] for name in cases)
    groups: dict[tuple[str, ...], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[_kind(finding)].append(finding)
    return [one for group in groups.values() for one in _joined(group, sizes[group[0].case.split("/")[0]])]


def _kind(finding: Finding) -> tuple[str, ...]:
    """Equal for findings that differ in case and numbers alone."""
    source, _, name = finding.case.partition("/")
    what = re.sub(rf"(?<=/){re.escape(name)}[^/\s]*", "", finding.what)  # its files
    what = re.sub(r"-?\d[\d.e+]*", "#", what)
    return source, finding.check, finding.severity, finding.organ, what, finding.remedy


def _joined(group: Sequence[Finding], size: int) -> Iterator[Finding]:
    first = group[0]
    severity: Severity = first.severity
    if 2 * len(group) <= size or "," in first.case or "/" not in first.case:
        yield from group
        return
    if first.check in EXCEPTIONAL:
        severity = "error"
    elif severity == "note" and len(group) > FEW:
        severity = "warning"
    if len(group) <= FEW:
        yield from (Finding(f.case, f.check, severity, f.what, f.remedy, f.organ) for f in group)
        return
    names = ", ".join(finding.case for finding in group)
    what = f"{first.what} (so in {len(group)} of {size} cases; the numbers are of {first.case})"
    if all(finding.what == first.what for finding in group):
        what = f"{first.what} (so in {len(group)} of {size} cases)"
    yield Finding(names, first.check, severity, what, first.remedy, first.organ)
