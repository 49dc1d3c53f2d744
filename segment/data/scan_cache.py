"""CTs that are needed twice, for the hash of their voxels and for their score, but read once."""

from collections.abc import Collection

from segment.datasets.cases import Case
from segment.io.scan import Scan
from segment.memory import measure
from segment.memory.measure import CPU

SHARE = 1 / 8  # of the free memory; the rest is for the work on a case. A CT that does not fit is read a second time.


class ScanCache:
    """CTs in memory, by case id, from their first reading to their second."""

    def __init__(self) -> None:
        self.kept: dict[str, Scan] = {}
        self.free_bytes = SHARE * measure.free(CPU)

    def read_and_keep(self, case: Case) -> Scan:
        """Read a CT for the first time, and keep it if there is room.

        Raises:
            UserError: As `Case.read`.
        """
        scan = case.read()
        if scan.data.nbytes <= self.free_bytes:
            self.free_bytes -= scan.data.nbytes
            self.kept[case.id] = scan
        return scan

    def take(self, case: Case) -> Scan:
        """Remove and return a CT that was kept, or read it.

        Raises:
            UserError: As `Case.read`.
        """
        return self.kept.pop(case.id, None) or case.read()

    def keep_only(self, ids: Collection[str]) -> None:
        """Drop the CTs of all other cases."""
        self.kept = {case: scan for case, scan in self.kept.items() if case in ids}
