"""Findings as a table for the terminal and as JSON for other programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from segment.doctor.finding import SEVERITIES, Finding
from segment.privacy import without_paths_in_sentence

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
SHOWN = 3  # findings of a group that the table shows


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print one row for each kind of finding: the worst first, then the most frequent."""
    if not findings:
        return
    table = Table(show_lines=True, expand=True)
    for heading, share in (("", 0), ("check", 0), ("what is wrong", 3), ("how to fix it", 2)):
        table.add_column(heading, overflow="fold", ratio=share or None)
    for group in group_findings(findings):
        first = group[0]
        lines = [f"{_first_cases(finding.cases)}: {finding.what}" for finding in group[:SHOWN]]
        if len(group) > SHOWN:
            lines.append(f"… {len(group) - SHOWN} more in findings.json")
        label = Text(first.severity, STYLES[first.severity])
        table.add_row(label, Text(first.check), Text("\n".join(lines)), Text(first.remedy))
    console.print(table)


def _first_cases(names: Sequence[str]) -> str:
    """Shorten a list of cases, for example to `set/1, set/2, set/3 and 17 more`."""
    shown = ", ".join(names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def group_findings(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Group findings with the same check, severity and remedy: the worst first, then the most frequent."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.severity, finding.check, finding.remedy), []).append(finding)
    return sorted(groups.values(), key=lambda g: (SEVERITIES.index(g[0].severity), -len(g)))


def findings_json(cases: int, findings: Sequence[Finding]) -> str:
    """Return the number of cases, the number of findings of each severity, and every finding, the worst first, as JSON.

    Absolute paths are shortened to file names.
    """
    content: dict[str, Any] = {"cases": cases}
    for severity in SEVERITIES:
        content[f"{severity}s"] = sum(finding.severity == severity for finding in findings)
    content["findings"] = [
        {key: without_paths_in_sentence(text) for key, text in asdict(finding).items()}
        for group in group_findings(findings)
        for finding in group
    ]
    return json.dumps(content, indent=1)
