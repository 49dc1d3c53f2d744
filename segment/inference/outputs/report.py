"""The report of a CT: what was measured in its mask, as plain values for report.json."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from segment.anatomy.anatomy import Anatomy
from segment.files import write_text
from segment.inference.confidence.confidence import Confidence
from segment.inference.confidence.judge import Judge, without_network
from segment.io.scan import Scan
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import measure_organs

Report = dict[str, Any]


def measure(scan: Scan, mask: np.ndarray, numbers: Mapping[str, int], anatomy: Anatomy) -> Report:
    """Measure a mask.

    Args:
        scan: The CT.
        mask: (I,J,K) class indices on its grid.
        numbers: Value in the mask of every organ.
        anatomy: Plausible volumes, for the flags.

    Returns:
        `shape` and `spacing_mm` of the CT, and `organs`: for each organ the fields of `OrganMeasures` and `flags`.
    """
    organs = []
    for measures in measure_organs(scan, mask, numbers):
        entry = asdict(measures) | {"flags": organ_flags(measures, anatomy)}
        organs.append({key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()})
    spacing_mm = [round(float(mm), 4) for mm in voxel_sizes(scan.affine)]
    return {"shape": list(scan.data.shape), "spacing_mm": spacing_mm, "organs": organs}


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON. The write is atomic."""
    write_text(path, json.dumps(report, indent=2) + "\n")


def read_confidences(path: Path) -> dict[str, Confidence]:
    """The confidence in each organ of a report; empty if the file is missing, or of an earlier version."""
    report, found = read_report(path) or {}, {}
    with suppress(KeyError, TypeError):
        for entry in report["organs"]:
            found[str(entry["organ"])] = Confidence.from_plain(entry["confidence"])
    return found


def add_confidences(entries: Sequence[dict[str, Any]], judge: Judge | None, anatomy: Anatomy, earlier: Path) -> None:
    """Add `confidence` to the organs of a report.

    Args:
        entries: The organs, with their flags.
        judge: Judges the mask. None for one that was kept: then the confidence is that of the earlier report.
        anatomy: Usual volumes, sides and positions.
        earlier: The earlier report. Without one, only the flags are known.
    """
    if judge is not None:
        judge.add_to(entries, anatomy)
        return
    known = read_confidences(earlier)
    for entry in entries:
        confidence = known.get(entry["organ"]) or without_network(entry["flags"])
        entry["confidence"] = confidence.to_plain()


def read_report(path: Path) -> Report | None:
    """Read a report; None if the file is missing or is not a report."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and "organs" in report else None
