"""Findings as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment.doctor.finding import SEVERITIES, Finding
from segment.privacy import without_paths

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
SHOWN = 3  # findings of a group that the table shows


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """One row for each kind of finding, worst first, then most frequent."""
    if not findings:
        return
    table = Table(show_lines=True, expand=True)
    for heading, share in (("", 0), ("check", 0), ("what is wrong", 3), ("how to fix it", 2)):
        table.add_column(heading, overflow="fold", ratio=share or None)
    for group in grouped(findings):
        first = group[0]
        lines = [f"{_few(finding.case)}: {finding.what}" for finding in group[:SHOWN]]
        lines += [f"… {len(group) - SHOWN} more in findings.json"] * (len(group) > SHOWN)
        label = Text(first.severity, STYLES[first.severity])
        table.add_row(label, Text(first.check), Text("\n".join(lines)), Text(first.remedy))
    console.print(table)


def _few(cases: str) -> str:
    """The first of the cases that a finding is about."""
    names = cases.split(", ")
    return ", ".join(names[:SHOWN]) + f" and {len(names) - SHOWN} more" * (len(names) > SHOWN)


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one check, severity and remedy together, worst first, then most frequent."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.check, finding.remedy), []).append(finding)
    return sorted(groups.values(), key=lambda g: (SEVERITIES.index(g[0].severity), -len(g)))


def findings_json(cases: int, findings: Sequence[Finding]) -> str:
    """Counts and every finding, worst first, without absolute paths."""
    counts = {f"{severity}s": sum(f.severity == severity for f in findings) for severity in SEVERITIES}
    ordered = [asdict(finding) for group in grouped(findings) for finding in group]
    return json.dumps(without_paths({"cases": cases, **counts, "findings": ordered}), indent=1)
