"""How long a search has been worked on."""

import json
import time
from pathlib import Path

from segment.files import write_text
from segment.search.lock import held

TICK_S = 5.0  # between two notes; what a killed process worked after its last is not counted
GAP_S = 60.0  # without a note means that nobody worked


class Clock:
    """Counts the time in which at least one process worked on a search; the time between kill and resume is not.

    Args:
        path: A file that all these processes share.
        hours: The budget; None: no end, but it counts for a resume that has one.
    """

    def __init__(self, path: Path, hours: float | None) -> None:
        self.path = path
        self.hours = hours
        self.worked_s = 0.0
        self.noted_at = -TICK_S

    def over(self) -> bool:
        """Whether the budget is used up; called often, it keeps the count."""
        if time.monotonic() - self.noted_at >= TICK_S:
            self.worked_s = self._note()
            self.noted_at = time.monotonic()
        return self.hours is not None and self.worked_s >= 3600 * self.hours

    def _note(self) -> float:
        with held(self.path.with_name(f".{self.path.name}.lock")):
            now = time.time()  # the machines' clocks need to agree to seconds only
            before = json.loads(self.path.read_text()) if self.path.exists() else {"worked_s": 0.0, "last": now}
            gap = now - before["last"]
            worked = float(before["worked_s"]) + (gap if 0 < gap <= GAP_S else 0)
            write_text(self.path, json.dumps({"worked_s": worked, "last": max(now, before["last"])}))
        return worked
