"""The page of a prediction: each CT with its organs in the scan viewer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.io.scan import Scan
from segment.view.colors import Color, organ_colors
from segment.view.page.document import write_page
from segment.view.page.organs import organ_rows
from segment.view.page.scan import Blobs, pack_scan
from segment.view.page.turntable import pack_turntable

log = logging.getLogger(__name__)


def organ_entries(organs: Sequence[str]) -> list[dict[str, str]]:
    """Name and colour of each organ, as CSS; the colours are those of overlays and videos."""
    return [{"name": organ, "color": css(color)} for organ, color in zip(organs, organ_colors(organs), strict=True)]


def css(color: Color) -> str:
    """A colour as `#rrggbb`."""
    return "#" + "".join(f"{round(255 * share):02x}" for share in color)


@dataclass
class PredictionPage:
    """Collects cases, then writes them as one page.

    Attributes:
        organs: Class i is organs[i-1].
        anatomy: Plausible volumes and HU.
        max_mb: Megabytes that the scans of all cases may take. Later cases are listed with their measurements only.
    """

    organs: Sequence[str]
    anatomy: Anatomy
    max_mb: float
    _cases: list[dict[str, Any]] = field(default_factory=list)
    _blobs: Blobs = field(default_factory=Blobs)

    def add(self, name: str, scan: Scan, mask: np.ndarray, reference: np.ndarray | None = None) -> None:
        """Add a case.

        Args:
            name: Its name.
            scan: The CT.
            mask: (I,J,K) class indices on its grid.
            reference: The same for the reference; None: there is none.
        """
        entry: dict[str, Any] = {
            "name": name,
            "organs": organ_rows(scan, mask, self.organs, self.anatomy),
            "notes": self._notes(scan),
            "scan": None,
            "turntable": None,
        }
        if self._blobs.size < self.max_mb * 1e6:
            scene, entry["scan"] = pack_scan(
                scan.data, mask, scan.affine, self.organs, self._blobs, reference=reference
            )
            entry["turntable"] = pack_turntable(scene, self.organs, self._blobs)
        else:
            entry["notes"].append(
                f"The scan of this case is not in the page, which stops at {self.max_mb:g} MB. Make a page of this CT "
                "alone, or a larger one with max_mb=…"
            )
        self._cases.append(entry)

    def write(self, path: Path, title: str, subtitle: str, notes: Sequence[str] = ()) -> None:
        """Write the page, cases with remarks first.

        Args:
            path: The file.
            title: Title of the page.
            subtitle: What made the masks, e.g. the checkpoint.
            notes: Sentences below the title.
        """
        cases = sorted(self._cases, key=lambda case: -sum(bool(row["remarks"]) for row in case["organs"]))
        data = {
            "kind": "prediction",
            "title": title,
            "subtitle": subtitle,
            "notes": list(notes),
            "organs": organ_entries(self.organs),
            "cases": cases,
        }
        write_page(path, title, data, self._blobs.texts)

    def _notes(self, scan: Scan) -> list[str]:
        if scan.is_oriented:
            return []
        return ["The CT does not state which way its axes run in the body: left and right are a guess."]
