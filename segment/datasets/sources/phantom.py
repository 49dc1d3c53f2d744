"""Synthetic CTs as a source of cases."""

from collections.abc import Sequence
from pathlib import Path

from segment.bounds import PositiveInt, Seed, Voxels, in_range
from segment.datasets.cases import Case, Refused
from segment.datasets.sources.folder import Folder
from segment.io.left_out import LeftOut
from segment.phantom import LABELS, write_dataset
from segment.phantom.field_of_view import SCANS
from segment.phantom.write import TISSUES


class Phantom:
    """Synthetic CTs, written once to a subfolder of the root and then read like any other data set.

    Args:
        root: Folder for the subfolder.
        num_cases: Number of cases.
        seed: Case i is a pure function of (seed, i, shape, scans, without).
        shape: Voxels of each CT, before it is stored in a random orientation.
        workers: Threads that synthesise them.
        scans: Parts of the body that are scanned, keys of `segment.phantom.field_of_view.SCANS`. By default all, in
            their usual shares.
        without: What to leave out: `disease` (with surgery and devices), `scanner` (blur, noise, artefacts, padding).

    Raises:
        UserError: When a number is out of its range, or the shape is not three whole numbers.
    """

    @in_range
    def __init__(
        self,
        root: str | Path,
        num_cases: PositiveInt,
        seed: Seed,
        shape: Voxels,
        workers: PositiveInt = 1,
        scans: Sequence[str] = tuple(SCANS),
        without: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self.num_cases = num_cases
        self.seed = seed
        self.shape = shape
        self.workers = workers
        self.scans = scans
        self.without = without

    def cases(self, source: str, refused: Refused | None = None) -> list[Case]:
        """Write the missing cases, then list all."""
        i, j, k = self.shape
        folder = write_dataset(
            self.root,
            num_cases=self.num_cases,
            seed=self.seed,
            shape=(i, j, k),
            workers=self.workers,
            scans=self.scans,
            without=self.without,
        )
        return Folder(folder, LABELS, tissues=TISSUES).cases(source, refused)

    def left_out(self, cases: Sequence[Case]) -> list[LeftOut]:
        """Nothing, because only this program writes to the folder."""
        return []
