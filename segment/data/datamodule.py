"""The LightningDataModule: cases → split → store → patches and volumes."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torchio as tio
from torch.utils.data import DataLoader, Dataset

from segment.bounds import PositiveInt, Seed, Share, Voxels, Workers, in_range
from segment.data.augment.mirror import check_mirroring, check_preprocess
from segment.data.augment.subjects import needs_tissue
from segment.data.loader_workers import ignore_job_signals
from segment.data.patches import EpochSampler, PatchDataset, PatchLoader
from segment.data.splits.split import Split, Splitter, check_trains
from segment.data.splits.volume_checks import check_leaks, check_maps, check_organs, check_origins
from segment.data.store.store import Store
from segment.data.store.volume import StoredVolume
from segment.data.volumes import LabelledScan, ScanDataset, ScanStream, VolumeDataset
from segment.datasets.annotation import unknown_organs
from segment.datasets.cases import Case, Source, list_cases, patient_aliases
from segment.errors import UserError
from segment.io.scan import has_suffix


class CTDataModule(pl.LightningDataModule):
    """Everything between CT files and batches.

    A training batch is collated by TorchIO: `batch["image"]["data"]` is (B,1,*patch_size) float32,
    `batch["label"]["data"]` has the same shape in uint8, and `batch["annotated"]` is (B,classes) bool, False for organs
    that are unknown in a case. A validation batch is one whole preprocessed volume. A test batch is one `LabelledScan`
    on the CT's own grid.

    Args:
        sources: Sources of cases by name; the cases of all are mixed.
        organs: Class i is organs[i-1].
        preprocess: TorchIO transform that is applied to every CT once.
        augment: Random TorchIO transform of training patches, or None.
        split: Assigns cases to train, val and test.
        patch_size: Voxels of a training patch along I, J, K.
        patches_per_epoch: Patches in an epoch over all processes, rounded up to whole batches for each process; None:
            one per training case.
        foreground_share: Share of patches placed around an organ, in [0, 1].
        batch_size: Patches in a batch of one process.
        num_workers: Number of worker processes, for patches and for preprocessing.
        cache_dir: Folder of the store of preprocessed volumes.
        seed: Seed of all patches.
        exclude: Ids of cases to leave out.

    Raises:
        UserError: When organs is empty, a size, share or number is out of range, the augmentation mirrors left and
            right without swapping the organs, or the preprocessing moves anatomy without changing the affine.
    """

    @in_range
    def __init__(
        self,
        sources: Mapping[str, Source],
        organs: Sequence[str],
        preprocess: tio.Transform,
        augment: tio.Transform | None,
        split: Splitter,
        patch_size: Voxels,
        patches_per_epoch: PositiveInt | None,
        foreground_share: Share,
        batch_size: PositiveInt,
        num_workers: Workers,
        cache_dir: str | Path,
        seed: Seed,
        exclude: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if not organs:
            msg = "organs=[] names no organ; name structures of label_codes, e.g. organs=[liver]"
            raise UserError(msg)
        check_mirroring(augment)
        check_preprocess(preprocess)
        self.sources = sources
        self.organs = list(organs)
        self.augment = augment
        self.splitter = split
        self.patch_size = tuple(patch_size)
        self.patches_per_epoch = patches_per_epoch
        self.foreground_share = foreground_share
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.exclude = exclude
        self.store = Store(Path(cache_dir), preprocess, self.organs)

    @cached_property
    def split(self) -> Split:
        """The cases of each part."""
        return check_trains(self.splitter(self.cases, self._organs_of))

    @cached_property
    def cases(self) -> list[Case]:
        """Cases of all sources. The first access lists them.

        Raises:
            UserError: When a source cannot be listed, or no case annotates one of the organs.
        """
        cases = list_cases(self.sources, self.exclude)
        missing = unknown_organs({case.id: case.label for case in cases}, self.organs)
        if missing:
            msg = (
                f"no data set annotates {', '.join(missing)}; take it out of organs, or declare it in the data set's "
                "label_codes or names"
            )
            raise UserError(msg)
        return cases

    @cached_property
    def volumes(self) -> dict[str, StoredVolume]:
        """Preprocessed volumes of all parts by case id. The first access fills the store.

        Test cases are included, so errors in their files are found before training.

        Raises:
            UserError: When cases cannot be used, a CT is in two parts, no training case shows one of the organs, no
                validation case shows any, or the augmentation uses tissue maps and no training case has one.
        """
        cases = {case.id: case for case in self.split.cases()}
        if needs_tissue(self.augment) and all(case.tissues is None for case in self.split.train):
            msg = (
                "no training case has a tissue map, which this augmentation needs; add synthetic CTs, as in "
                "data=[…,phantom], or choose another augmentation, e.g. augment=strong"
            )
            raise UserError(msg)
        volumes = self.store.prepare(list(cases.values()), self.num_workers)
        hashes = {case: volume.meta["voxel_hash"] for case, volume in volumes.items()}
        check_leaks(self.split, hashes)
        check_origins(self.split, hashes, self._origin_hashes())
        check_maps(self.split, self._map_hashes())
        check_organs(self.split, self.organs, {case: volume.meta["classes"] for case, volume in volumes.items()})
        return volumes

    def _organs_of(self, cases: Sequence[Case]) -> dict[str, list[int]]:
        """Classes that each case shows. This prepares all cases, which a cross-validation needs anyway."""
        volumes = self.store.prepare(cases, self.num_workers)
        return {case: volume.meta["classes"] for case, volume in volumes.items()}

    def voxel_hashes(self) -> list[str]:
        """Hashes of the CTs that train or validate, so that a later evaluation can leave them out.

        A CT of which only the label map trains is among them.
        """
        cases = (*self.split.train, *self.split.val)
        own = {self.volumes[case.id].meta["voxel_hash"] for case in cases}
        return sorted(own | set(self._origin_hashes().values()))

    def _origin_hashes(self) -> dict[str, str]:
        """Hashes of the CTs whose label maps became synthetic cases, by the ids of these."""
        hashes = {}
        for case in self.split.train:
            origin = case.made_from
            if origin is not None and _has_ct(origin):
                hashes[case.id] = self.store.voxel_hash(origin)
        return hashes

    def _map_hashes(self) -> dict[str, list[str]]:
        """Hashes of label maps by case id, as for `check_maps`; empty if every map has its CT."""
        origins = {case.id: case.made_from for case in self.split.train if case.made_from is not None}
        alone = {name: origin for name, origin in origins.items() if not _has_ct(origin)}
        if not alone:
            return {}
        held_out = {case.id: case for case in (*self.split.val, *self.split.test)}
        hashes = {}
        for name, case in (alone | held_out).items():
            hashes[name] = [self.store.map_hash(path) for path in case.label.files if has_suffix(path)]
        return hashes

    def content(self) -> dict[str, dict[str, str]]:
        """Identify the cases of all parts by content, without names of patients.

        Returns:
            Three dictionaries by case id: `cases` holds hashes of the CTs' voxels; `volumes` holds hashes of image
            files, label files and preprocessing; `patients` holds the same value for several cases of one patient.
        """
        return {
            "cases": {name: volume.meta["voxel_hash"] for name, volume in sorted(self.volumes.items())},
            "volumes": {name: volume.folder.name for name, volume in sorted(self.volumes.items())},
            "patients": patient_aliases(self.split.cases()),
        }

    def train_dataloader(self) -> DataLoader[tio.Subject]:
        """Loader of one epoch's patches. Lightning reloads it every epoch."""
        assert self.trainer is not None  # Lightning sets it before it calls this method
        for volume in self.volumes.values():  # those that validate or test, too
            volume.touch()
        volumes = [self.volumes[case.id] for case in self.split.train]
        patches = PatchDataset(volumes, self.patch_size, self.foreground_share, self.augment, self.seed)
        rank, world_size = self._rank_and_world_size()
        num_samples = self.patches_per_epoch or len(volumes)
        return PatchLoader(
            patches,
            sampler=EpochSampler(self.trainer.current_epoch, num_samples, self.batch_size, rank, world_size),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            worker_init_fn=ignore_job_signals,
            # Without a generator, the seeds of the workers would advance torch's global random state.
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[tio.Subject]:
        """Whole preprocessed volumes of this process's validation cases.

        Processes wait for each other's scores, so each needs a case. If there are fewer cases than processes, every
        process gets all of them, which does not change the means.
        """
        rank, world_size = self._rank_and_world_size()
        cases = self.split.val
        if len(cases) >= world_size:
            cases = cases[rank::world_size]
        volumes = VolumeDataset([self.volumes[case.id] for case in cases])
        loader: DataLoader[tio.Subject] = tio.SubjectsLoader(
            volumes, batch_size=1, num_workers=0, generator=torch.Generator()
        )
        return loader

    def test_dataloader(self) -> DataLoader[LabelledScan]:
        """This process's test cases on their own grids; may be empty."""
        # Each case is tested by one process. Lightning's sampler would repeat cases to fill up.
        rank, world_size = self._rank_and_world_size()
        scans = ScanDataset(self.split.test[rank::world_size], self.organs)
        dataset: Dataset[LabelledScan] = ScanStream(scans) if len(self.split.test) < world_size else scans
        return DataLoader(dataset, batch_size=None, num_workers=0, generator=torch.Generator())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Keep scans on the CPU: only their patches are moved to the device, one by one."""
        if isinstance(batch, LabelledScan):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _rank_and_world_size(self) -> tuple[int, int]:
        """Number of this process, and number of processes; without a trainer there is one process."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


def _has_ct(origin: Case) -> bool:
    """Whether a label map belongs to a CT; without one, it takes the CT's place in the case."""
    return origin.image not in origin.label.files
