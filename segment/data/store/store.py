"""Volumes preprocessed once, compressed on disk, with random access to patches.

A volume lies in `<root>/<fingerprint>/` (see `segment.data.store.fingerprint`), so a changed file or option never meets
a stale volume, and runs share what is equal. A folder appears only when it is complete (written under a temporary name,
flushed, then renamed): an interrupted preparation resumes, and several processes may fill the store. A damaged one is
noticed when a run opens it, and prepared again.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
import torchio as tio
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from segment.anatomy.place import places
from segment.data.loader_workers import heed_only_the_parent
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import fingerprint, identity, voxel_hash
from segment.data.store.volume import StoredVolume, discard, write_volume
from segment.datasets.annotation import annotated
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.preprocess.preprocess import preprocess

CONTENT = ".content"  # folder of the store with what is known of files that were read

log = logging.getLogger(__name__)


class Store:
    """Fills and opens a store.

    Args:
        root: Folder of the store; runs may share it.
        transform: Preprocessing.
        organs: Class i is organs[i-1].
    """

    def __init__(self, root: Path, transform: tio.Transform, organs: Sequence[str]) -> None:
        self.root = root
        self.transform = transform
        self.organs = list(organs)
        self.content = ContentRecord(root / CONTENT)

    def prepare(self, cases: Sequence[Case], num_workers: int = 0) -> dict[str, StoredVolume]:
        """Preprocess what is missing and return every case's volume by its id.

        Raises:
            UserError: When cases cannot be used; all of them are named, after the others are done.
        """
        # A generator of its own: a loader draws from torch's global one, even without workers.
        loader = DataLoader(
            _Preparation(self, cases),
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=heed_only_the_parent,
            generator=torch.Generator(),
        )
        ready: dict[str, StoredVolume] = {}
        failed: list[str] = []
        results = iter(loader)  # starts the workers, before the bar starts a thread
        console = Console(stderr=True)  # a bar that nobody sees would leave an empty line in a log
        hidden = not console.is_terminal
        bar = track(results, "preparing volumes", len(cases), transient=True, console=console, disable=hidden)
        for case, result in zip(cases, bar, strict=True):
            if isinstance(result, Path):
                ready[case.id] = StoredVolume(case.id, result)
            else:
                failed.append(f"{case.id}: {result}")
        if failed:
            count = f"{len(failed)} of {len(cases)} cases cannot be used:\n  " if len(failed) > 1 else ""
            raise UserError(count + "\n  ".join(failed))
        return ready

    def add(self, case: Case) -> Path:
        """Preprocess one case unless it is there, and return its folder.

        Raises:
            UserError: When the case cannot be used, or the volume cannot be written.
        """
        decides = identity(case, self.transform, self.organs, self.content.hash)
        folder = self.root / fingerprint(decides)
        if folder.is_dir() and not StoredVolume(case.id, folder).is_intact():
            log.warning("the stored volume of %s is damaged, and is prepared again", case.id)
            discard(folder, unless_intact=True)
        if not folder.is_dir():
            scan = case.read()
            label = case.label.read(scan, case.image, self.organs)
            if identity(case, self.transform, self.organs, self.content.hash) != decides:
                msg = f"{case.image} or its label changed while it was read; start again when it is written"
                raise UserError(msg)
            volume = preprocess(self.transform, scan, label)
            shown = places(scan, label)
            facts = {
                "case": case.id,
                "places": {self.organs[index - 1]: asdict(place) for index, place in shown.items()},
                "annotated": annotated(case.label, self.organs),
                "voxel_hash": voxel_hash(scan.data),
            }
            try:
                write_volume(volume, facts, decides, folder)
            except OSError as error:
                msg = f"cannot write to the store {self.root}: {error.strerror}; free space or choose another cache_dir"
                raise UserError(msg) from error
        StoredVolume(case.id, folder).touch()
        return folder


class _Preparation(Dataset[Path | str]):
    """Lets a DataLoader's workers prepare cases, in order; an error becomes its text."""

    def __init__(self, store: Store, cases: Sequence[Case]) -> None:
        self.store = store
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Path | str:
        try:
            return self.store.add(self.cases[index])
        except UserError as error:
            return str(error)
        except Exception as error:  # a transform that cannot take this CT; the other cases wait
            return f"preprocessing failed: {type(error).__name__}: {error}; look at the CT {self.cases[index].image}"
