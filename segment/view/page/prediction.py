"""The page of a prediction: each CT with its organs in the scan viewer."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.inference.confidence.confidence import Confidence
from segment.io.scan import Scan
from segment.view.colors import Color, organ_colors
from segment.view.page.document import write_page
from segment.view.page.meshes import pack_meshes
from segment.view.page.organs import organ_rows, reported_rows
from segment.view.page.scan import Blobs, pack_scan
from segment.view.page.turntable import POINTS_ACROSS, pack_turntable
from segment.view.surface import build_surface

log = logging.getLogger(__name__)

_NO_SCAN = (
    "The scan of this case is not in the page: its size is limited, and the scans with most remarks come first. "
    "segment view makes a page of one CT, or a larger one (max_mb=…)."
)


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
        scans: Number of scans in the page.
    """

    organs: Sequence[str]
    anatomy: Anatomy
    max_mb: float
    scans: int = 0
    _cases: list[dict[str, Any]] = field(default_factory=list)
    _blobs: Blobs = field(default_factory=Blobs)

    @property
    def has_room(self) -> bool:
        """Whether the page takes a further scan."""
        return self._blobs.size < self.max_mb * 1e6

    def add_listed(self, name: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Add a case without its scan.

        Args:
            name: Its name.
            entries: The organs of its report, one for each of `organs`.
        """
        self._cases.append(self._entry(name, reported_rows(entries, self.anatomy), [_NO_SCAN]))

    def add(
        self,
        name: str,
        scan: Scan,
        mask: np.ndarray,
        reference: np.ndarray | None = None,
        confidences: Mapping[str, Confidence] | None = None,
    ) -> None:
        """Add a case.

        Args:
            name: Its name.
            scan: The CT.
            mask: (I,J,K) class indices on its grid.
            reference: The same for the reference; None: there is none.
            confidences: The confidence by organ.
        """
        entry = self._entry(name, organ_rows(scan, mask, self.organs, self.anatomy, confidences), self._notes(scan))
        if self.has_room:
            self.scans += 1
            scene, entry["scan"] = pack_scan(
                scan.data, mask, scan.affine, self.organs, self._blobs, reference=reference
            )
            surface = build_surface(scene.pred, scene.spacing_mm, len(self.organs), POINTS_ACROSS)
            if surface is not None:
                entry["meshes"] = pack_meshes(surface, scene.spacing_mm, self._blobs)
                entry["turntable"] = pack_turntable(surface, self.organs, self._blobs)
        else:
            entry["notes"].append(_NO_SCAN)
        self._cases.append(entry)

    def _entry(self, name: str, rows: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
        return {"name": name, "organs": rows, "notes": notes, "scan": None, "meshes": None, "turntable": None}

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
