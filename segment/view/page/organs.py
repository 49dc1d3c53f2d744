"""Rows of the organ table of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.inference.confidence.confidence import Confidence
from segment.io.scan import Scan
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import OrganMeasures, measure_organs


def organ_rows(
    scan: Scan,
    mask: np.ndarray,
    organs: Sequence[str],
    anatomy: Anatomy,
    confidences: Mapping[str, Confidence] | None = None,
) -> list[dict[str, Any]]:
    """Measure every organ of a mask and compare it with the ranges of the anatomy.

    Args:
        scan: The CT.
        mask: (I,J,K) class indices on its grid.
        organs: Class i is organs[i-1].
        anatomy: Plausible volumes and HU.
        confidences: The confidence by organ; without one, a row states none.

    Returns:
        For each organ `volume_ml`, `hu_mean` and `hu_sd` (None if it is absent), `cut` (ends of the scan that cut it),
        `range_ml` and `range_hu` (None if the anatomy has none), `remarks` (its flags, see `organ_flags`, and
        the reasons of its confidence), and `confidence` (None, or the plain values of `Confidence`).
    """
    numbers = {organ: index for index, organ in enumerate(organs, start=1)}
    known = confidences or {}
    return [_row(measures, anatomy, known.get(measures.organ)) for measures in measure_organs(scan, mask, numbers)]


def reported_rows(entries: Sequence[Mapping[str, Any]], anatomy: Anatomy) -> list[dict[str, Any]]:
    """The same rows from the organs of a report, without measuring again."""
    return [
        {
            "organ": str(entry["organ"]),
            "volume_ml": entry["volume_ml"],
            "hu_mean": entry["hu_mean"],
            "hu_sd": entry["hu_sd"],
            "cut": list(entry["cut_by"]),
            "range_ml": _range(anatomy.volume_ml.get(entry["organ"])),
            "range_hu": _range(anatomy.median_hu.get(entry["organ"])),
            "remarks": _remarks(entry["flags"], entry.get("confidence")),
            "confidence": entry.get("confidence"),
        }
        for entry in entries
    ]


def _row(measures: OrganMeasures, anatomy: Anatomy, confidence: Confidence | None) -> dict[str, Any]:
    plain = None if confidence is None else confidence.to_plain()
    return {
        "organ": measures.organ,
        "volume_ml": measures.volume_ml,
        "hu_mean": measures.hu_mean,
        "hu_sd": measures.hu_sd,
        "cut": list(measures.cut_by),
        "range_ml": _range(anatomy.volume_ml.get(measures.organ)),
        "range_hu": _range(anatomy.median_hu.get(measures.organ)),
        "remarks": _remarks(organ_flags(measures, anatomy), plain),
        "confidence": plain,
    }


def _remarks(flags: Sequence[str], confidence: Mapping[str, Any] | None) -> list[str]:
    """The flags and the other reasons of a confidence."""
    return list(dict.fromkeys([*flags, *(confidence["reasons"] if confidence else [])]))


def _range(ends: Sequence[float] | None) -> list[float] | None:
    return None if ends is None else list(ends)
