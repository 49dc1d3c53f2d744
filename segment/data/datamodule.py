"""The LightningDataModule: cases → split → store → patches and volumes."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torchio as tio
from torch.utils.data import DataLoader, Dataset

from segment.bounds import Count, Share, Voxels, Workers, in_range
from segment.data.loader_workers import heed_only_the_parent
from segment.data.patches import EpochSampler, PatchDataset, PatchLoader
from segment.data.splits.split import Split, Splitter
from segment.data.store.store import Store
from segment.data.store.volume import StoredVolume
from segment.data.volumes import LabelledScan, ScanDataset, Stream, VolumeDataset
from segment.datasets.annotation import unknown_organs
from segment.datasets.cases import PARTS, Case, Source, gather, of_one_patient
from segment.errors import UserError

log = logging.getLogger(__name__)


class CTDataModule(pl.LightningDataModule):
    """Everything between CT files and batches.

    Training batches hold `image` and `label` as TorchIO collates subjects: `batch["image"]["data"]` is
    (B,1,*patch_size) float32, `batch["label"]["data"]` the same shape in uint8, `batch["annotated"]` (B,classes) bool:
    False for organs that are unknown in a case. Validation batches hold one whole preprocessed volume, test batches one
    `LabelledScan` on the CT's own grid.

    Args:
        sources: Where cases come from, by name; several are mixed.
        organs: Class i is organs[i-1].
        preprocess: TorchIO transform that every CT goes through, once.
        augment: Random TorchIO transform of training patches, or None.
        split: Deals cases out to train, val and test.
        patch_size: Voxels of a training patch along I, J, K.
        patches_per_epoch: Patches in an epoch over all processes, rounded up to whole batches of each; None: one per
            training case.
        foreground_share: Share of patches placed around an organ, in [0, 1].
        batch_size: Patches in a batch of one process.
        num_workers: Processes that draw patches, and that preprocess.
        cache_dir: Where preprocessed volumes are kept.
        seed: Fixes every patch of every epoch.
        exclude: Ids of cases to leave out.

    Raises:
        UserError: When there is no organ, or a size, share or number is out of range.
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
        patches_per_epoch: Count | None,
        foreground_share: Share,
        batch_size: Count,
        num_workers: Workers,
        cache_dir: str | Path,
        seed: int,
        exclude: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if not organs:
            msg = "organs=[] names nothing to segment; name structures of label_codes, e.g. organs=[liver]"
            raise UserError(msg)
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
        return self.splitter(self.cases, self._organs_of)

    @cached_property
    def cases(self) -> list[Case]:
        """All cases; lists the sources when first asked.

        Raises:
            UserError: When they cannot be listed, or no case annotates an organ.
        """
        cases = gather(self.sources, self.exclude)
        if missing := unknown_organs({case.id: case.label for case in cases}, self.organs):
            msg = (
                f"no data set annotates {', '.join(missing)}; take it out of organs, or name it where the data set "
                "states what its labels show (label_codes, or names)"
            )
            raise UserError(msg)
        return cases

    @cached_property
    def volumes(self) -> dict[str, StoredVolume]:
        """Preprocessed volumes of every part by case id; fills the store when first asked.

        Test cases too, so that what is wrong with them is found before training.

        Raises:
            UserError: When cases cannot be used, the same CT lies in two parts, or no training case shows an organ.
        """
        cases = list({case.id: case for part in PARTS for case in getattr(self.split, part)}.values())
        volumes = self.store.prepare(cases, self.num_workers)
        self._check_leaks(volumes)
        self._check_organs(volumes)
        return volumes

    def _organs_of(self, cases: Sequence[Case]) -> dict[str, list[int]]:
        """Organs that cases show; prepares all of them, which a cross-validation uses anyway."""
        return {name: v.meta["classes"] for name, v in self.store.prepare(cases, self.num_workers).items()}

    def voxel_hashes(self) -> list[str]:
        """Content of the cases that training saw, so that a later evaluation can leave them out."""
        return sorted({self.volumes[case.id].meta["voxel_hash"] for case in (*self.split.train, *self.split.val)})

    def content(self) -> dict[str, dict[str, str]]:
        """What tells the cases of all parts by content, without names of patients.

        Returns:
            By case id: `cases`, of the CT's voxels alone; `volumes`, of image and label files and preprocessing; and
            `patients`, which cases are of one patient.
        """
        return {
            "cases": {name: volume.meta["voxel_hash"] for name, volume in sorted(self.volumes.items())},
            "volumes": {name: volume.folder.name for name, volume in sorted(self.volumes.items())},
            "patients": of_one_patient([case for part in PARTS for case in getattr(self.split, part)]),
        }

    def train_dataloader(self) -> DataLoader[tio.Subject]:
        """Loader of one epoch's patches; Lightning asks for a new one every epoch."""
        assert self.trainer is not None  # Lightning attaches itself before it asks for loaders
        volumes = [self.volumes[case.id] for case in self.split.train]
        for volume in volumes:
            volume.touch()
        patches = PatchDataset(volumes, self.patch_size, self.foreground_share, self.augment, self.seed)
        rank, world_size = self._place()
        num_samples = self.patches_per_epoch or len(volumes)
        return PatchLoader(
            patches,
            sampler=EpochSampler(self.trainer.current_epoch, num_samples, self.batch_size, rank, world_size),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            worker_init_fn=heed_only_the_parent,
            # Each loader gets a generator of its own: making worker seeds must not move torch's global random state.
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> DataLoader[tio.Subject]:
        """Whole preprocessed volumes of this process's validation cases.

        With fewer cases than processes every process takes all of them, which leaves the means as they are: processes
        wait for each other's scores, so none may be without a case.
        """
        rank, world_size = self._place()
        cases = self.split.val
        share = cases[rank::world_size] if len(cases) >= world_size else cases
        volumes = VolumeDataset([self.volumes[case.id] for case in share])
        loader: DataLoader[tio.Subject] = tio.SubjectsLoader(
            volumes, batch_size=1, num_workers=0, generator=torch.Generator()
        )
        return loader

    def test_dataloader(self) -> DataLoader[LabelledScan]:
        """This process's test cases on their own grids; possibly none."""
        # Each case once over all processes; Lightning's own sampler would repeat some to fill up.
        rank, world_size = self._place()
        scans = ScanDataset(self.split.test[rank::world_size], self.organs)
        dataset: Dataset[LabelledScan] = Stream(scans) if len(self.split.test) < world_size else scans
        return DataLoader(dataset, batch_size=None, num_workers=0, generator=torch.Generator())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ANN401
        """Leave scans where they are: only their patches go to the device."""
        if isinstance(batch, LabelledScan):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _place(self) -> tuple[int, int]:
        """This process and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _check_leaks(self, volumes: Mapping[str, StoredVolume]) -> None:
        if self.split.shared:
            return
        seen: dict[str, tuple[str, str]] = {}
        for part in PARTS:
            for case in getattr(self.split, part):
                content = volumes[case.id].meta["voxel_hash"]
                other, other_part = seen.setdefault(content, (case.id, part))
                if other_part != part:
                    msg = f"{other} ({other_part}) and {case.id} ({part}) hold the same voxels; remove one of them"
                    raise UserError(msg)

    def _check_organs(self, volumes: Mapping[str, StoredVolume]) -> None:
        present = {index for case in self.split.train for index in volumes[case.id].meta["classes"]}
        missing = [organ for index, organ in enumerate(self.organs, start=1) if index not in present]
        if missing:
            other = "choose another one by split.case=<its id>, " if self.split.shared else ""
            msg = (
                f"no training case shows {', '.join(missing)}; {other}check its code or mask, or take it out of organs"
            )
            raise UserError(msg)
        shown = {index for case in self.split.val for index in volumes[case.id].meta["classes"]}
        if unseen := [organ for index, organ in enumerate(self.organs, start=1) if index not in shown]:
            log.warning(
                "no validation case shows %s, so it does not count when the best epoch is chosen", ", ".join(unseen)
            )
        if not shown:
            msg = "no validation case shows any organ, so there is no score to choose by; choose another split"
            raise UserError(msg)
