import io
import json

from rich.console import Console

from segment.doctor.finding import Finding
from segment.doctor.findings_table import findings_json, print_findings

FINDINGS = [
    Finding("set/a", "cut", "note", "liver is cut", "keep it", "liver"),
    Finding("set/a", "volume", "warning", "liver has 1 mL", "look at it", "liver"),
    *(Finding(f"set/{name}", "volume", "warning", "spleen has 2 mL", "look at it", "spleen") for name in "bcde"),
    Finding("set/b", "no HU", "error", "/home/someone/b.nii holds [0,1] in 2/3", "convert it"),
]


def test_the_worst_findings_come_first_and_long_groups_are_shortened():
    console = Console(file=io.StringIO(), width=120)
    print_findings(FINDINGS, console)
    text = console.file.getvalue()
    lines = [text.index(word) for word in ("no HU", "set/a: liver has 1 mL", "… 2 more in findings.json", "keep it")]
    assert lines == sorted(lines)
    assert "set/e" not in text
    assert "set/b: /home/someone/b.nii holds [0,1] in 2/3" in text  # no markup


def test_without_findings_nothing_is_printed():
    console = Console(file=io.StringIO())
    print_findings([], console)
    assert console.file.getvalue() == ""


def test_the_json_contains_every_finding_without_paths():
    content = json.loads(findings_json(7, FINDINGS))
    assert {key: content[key] for key in ("cases", "errors", "warnings", "notes")} == {
        "cases": 7,
        "errors": 1,
        "warnings": 5,
        "notes": 1,
    }
    assert content["findings"][0] == {
        "case": "set/b",
        "check": "no HU",
        "severity": "error",
        "what": "b.nii holds [0,1] in 2/3",
        "remedy": "convert it",
        "organ": "",
    }
    assert [f["severity"] for f in content["findings"]] == ["error"] + ["warning"] * 5 + ["note"]
