"""CTs that are read once though they are wanted twice: for the hash of their voxels, and for their score."""

from collections.abc import Collection

from segment.datasets.cases import Case
from segment.io.scan import Scan
from segment.memory import measure
from segment.memory.refuse import CPU

SHARE = 1 / 8  # of the free memory: the rest is for the work on a case, and what does not fit is read again


class ReadAhead:
    """Keeps what was read ahead, by the case's id, until it is read for good."""

    def __init__(self) -> None:
        self.kept: dict[str, Scan] = {}
        self.left = SHARE * measure.free(CPU)  # bytes

    def ahead(self, case: Case) -> Scan:
        """A CT that will be read again; kept if there is room.

        Raises:
            UserError: As `Case.read`.
        """
        scan = case.read()
        if scan.data.nbytes <= self.left:
            self.left -= scan.data.nbytes
            self.kept[case.id] = scan
        return scan

    def read(self, case: Case) -> Scan:
        """A CT that will not be read again.

        Raises:
            UserError: As `Case.read`.
        """
        return self.kept.pop(case.id, None) or case.read()

    def forget_all_but(self, ids: Collection[str]) -> None:
        """Make room of what will not be read."""
        self.kept = {name: scan for name, scan in self.kept.items() if name in ids}
