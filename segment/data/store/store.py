"""The store: volumes that are preprocessed once and kept on disk.

A volume is in `<root>/<fingerprint>/` (see `segment.data.store.fingerprint`). When a file or an option changes, so does
the fingerprint, so a run never uses an outdated volume, and runs with the same options share volumes.

A folder is written under a temporary name, flushed, then renamed, so it is always complete. An interrupted preparation
can be resumed, and several processes can fill the store at once. A damaged volume is detected when a run opens it, and
prepared again.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torchio as tio
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from segment.anatomy.structure import Structure, measure_structures
from segment.data.loader_workers import ignore_job_signals, signals_held_back
from segment.data.store.content import ContentRecord
from segment.data.store.facts import VERSION as FACTS_VERSION
from segment.data.store.facts import CaseFacts, measure_case
from segment.data.store.fingerprint import VERSION, fingerprint, identity, voxel_hash
from segment.data.store.volume import StoredVolume, discard, write_volume
from segment.datasets.annotation import known_classes
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.io.read import read_label
from segment.io.scan import Scan
from segment.preprocess.preprocess import preprocess

CONTENT = ".content"  # folder of the store for the hashes of files, see ContentRecord

T = TypeVar("T")

log = logging.getLogger(__name__)


class Store:
    """The preprocessed volumes of an experiment.

    Args:
        root: Folder of the store, which several runs can share.
        transform: Preprocessing.
        organs: Class i is organs[i-1].
    """

    def __init__(self, root: Path, transform: tio.Transform, organs: Sequence[str]) -> None:
        self.root = root
        self.transform = transform
        self.organs = list(organs)
        self.content = ContentRecord(root / CONTENT)

    def prepare(self, cases: Sequence[Case], num_workers: int = 0) -> dict[str, StoredVolume]:
        """Preprocess the cases that are not in the store, and return the volumes of all cases by id.

        Raises:
            UserError: When cases cannot be used. The error names all of them. It is raised after the others are done.
        """
        folders = self._for_each(cases, self.add, "preparing volumes", num_workers)
        return {name: StoredVolume(name, folder) for name, folder in folders.items()}

    def facts(self, cases: Sequence[Case], num_workers: int = 0) -> dict[str, CaseFacts]:
        """Facts about the cases by id. Those of prepared cases are recorded; other CTs are read.

        Raises:
            UserError: As `prepare`.
        """
        return self._for_each(cases, self.facts_of, "measuring CTs", num_workers)

    def _for_each(self, cases: Sequence[Case], do: Callable[[Case], T], what: str, num_workers: int) -> dict[str, T]:
        """Results for all cases by id, computed by worker processes, with a progress bar."""
        # Without a generator, the loader advances torch's global random state, even without workers.
        loader = DataLoader(
            _Work(cases, do),
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=ignore_job_signals,
            generator=torch.Generator(),
        )
        ready: dict[str, T] = {}
        failed: list[str] = []
        with signals_held_back():
            results = iter(loader)  # starts the worker processes before the bar starts a thread
        console = Console(stderr=True)
        hidden = not console.is_terminal  # the bar would leave an empty line in a log file
        bar = track(results, what, len(cases), transient=True, console=console, disable=hidden)
        for case, result in zip(cases, bar, strict=True):
            if isinstance(result, str):
                failed.append(f"{case.id}: {result}")
            else:
                ready[case.id] = result
        if failed:
            count = f"{len(failed)} of {len(cases)} cases cannot be used:\n  " if len(failed) > 1 else ""
            raise UserError(count + "\n  ".join(failed))
        return ready

    def voxel_hash(self, case: Case) -> str:
        """`voxel_hash` of a CT, which need not be in the store; recorded, so that an unchanged CT is read once.

        Raises:
            UserError: When the CT cannot be read.
        """
        what = f"voxels {VERSION} {case.series}"
        return self.content.get_or_compute(case.image, lambda: voxel_hash(case.read().data), what)

    def map_hash(self, path: Path) -> str:
        """`voxel_hash` of the codes in a label file; recorded, so that an unchanged file is read once.

        Raises:
            UserError: When the file cannot be read.
        """

        def from_file() -> str:
            codes = read_label(path).data
            return voxel_hash(codes.astype(np.int16) if codes.max(initial=0) < 2**15 else codes)

        return self.content.get_or_compute(path, from_file, f"codes {VERSION}")

    def facts_of(self, case: Case, measure: Callable[[], CaseFacts] | None = None) -> CaseFacts:
        """Facts about a case, recorded until one of its files changes.

        Args:
            case: The case.
            measure: Measures them if they are not recorded; None: from its files.

        Raises:
            UserError: When the case cannot be read.
        """

        def from_files() -> CaseFacts:
            return measure_case(*self._read(case), self.organs, case.label.structures)

        compute = measure or from_files
        label_files = [self.content.hash(path) for path in case.label.files]
        what = ["facts", FACTS_VERSION, case.series, label_files, case.label.cache_key, self.organs]
        text = self.content.get_or_compute(case.image, lambda: compute().to_json(), json.dumps(what))
        return CaseFacts.from_json(text)

    def _read(self, case: Case) -> tuple[Scan, np.ndarray]:
        scan = case.read()
        return scan, case.label.read(scan, case.image, self.organs)

    def add(self, case: Case) -> Path:
        """Preprocess a case if it is not in the store, and return the folder of its volume.

        Raises:
            UserError: When the case cannot be used, or the volume cannot be written.
        """
        before = identity(case, self.transform, self.organs, self.content.hash)
        folder = self.root / fingerprint(before)
        if folder.is_dir() and not StoredVolume(case.id, folder).is_intact():
            log.warning("the stored volume of %s is damaged and is prepared again", case.id)
            discard(folder, unless_intact=True)
        if not folder.is_dir():
            scan, label = self._read(case)
            tissues = case.read_tissues(scan)
            if identity(case, self.transform, self.organs, self.content.hash) != before:
                msg = f"{case.image} or its label changed while it was read; start again when it is written"
                raise UserError(msg)
            structures = measure_structures(scan, label)
            self._write(case, scan, label, tissues, structures, before, folder)
            self.facts_of(case, lambda: measure_case(scan, label, self.organs, case.label.structures, structures))
        StoredVolume(case.id, folder).touch()
        return folder

    def _write(
        self,
        case: Case,
        scan: Scan,
        label: np.ndarray,
        tissues: np.ndarray | None,
        structures: Mapping[int, Structure],
        volume_identity: Mapping[str, Any],
        folder: Path,
    ) -> None:
        volume = preprocess(self.transform, scan, label, tissues)
        meta = {
            "case": case.id,
            "places": {self.organs[index - 1]: asdict(structure) for index, structure in structures.items()},
            "annotated": known_classes(case.label, self.organs),
            "voxel_hash": voxel_hash(scan.data),
        }
        try:
            write_volume(volume, meta, volume_identity, folder)
        except OSError as error:
            msg = f"cannot write to the store {self.root}: {error.strerror}; free space or choose another cache_dir"
            raise UserError(msg) from error


class _Work(Dataset[T | str], Generic[T]):
    """Work on cases in the workers of a DataLoader. Item i is the result for case i, or the text of its error."""

    def __init__(self, cases: Sequence[Case], do: Callable[[Case], T]) -> None:
        self.cases = cases
        self.do = do

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> T | str:
        try:
            return self.do(self.cases[index])
        except UserError as error:
            return str(error)
        except Exception as error:  # raised by the transform; the other cases must still be prepared
            return f"preprocessing failed: {type(error).__name__}: {error}; look at the CT {self.cases[index].image}"
