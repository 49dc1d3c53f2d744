"""Training patches, read from the store."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import blosc2
import numpy as np
import torch
import torchio as tio
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from segment.data.augment.subjects import TISSUE, needs_tissue
from segment.data.batch_passing import wrap_batch
from segment.data.loader_workers import signals_held_back
from segment.data.store.volume import StoredVolume
from segment.phantom.tissues import CODES
from segment.runtime.seeding import random_state
from segment.runtime.threads import one_thread

Key = tuple[int, int]  # (epoch, index)


class PatchDataset(Dataset[tio.Subject]):
    """Random patches. Patch i of epoch e is a pure function of (seed, e, i).

    The number of workers or threads and the patches that were sampled before do not change a patch, so a resumed run
    continues with the patches that an uninterrupted run gets. Within an epoch, the numbers of patches from two volumes
    differ by one at most.

    A sample is a subject with:

    - `image` (1,*patch_size) float32 and `label` (1,*patch_size) uint8. Their affine holds the voxel size in mm, which
      augmentation needs.
    - `annotated` (classes,) bool, background first: False for organs that are unknown in this case.
    - `case`, the case's id.

    While it is augmented it also has `tissue` (1,*patch_size) uint8, if the volume has a tissue map and `augment` uses
    it.

    Args:
        volumes: Stored volumes to take patches from.
        patch_size: Voxels along I, J, K. A smaller volume is padded with its minimum (air) and background.
        foreground_share: Share of patches around a voxel of an organ, in [0, 1]. Every organ of the volume is equally
            likely. The other patches are placed anywhere.
        augment: Random TorchIO transform of the patch, or None.
        seed: Seed of all patches.
    """

    def __init__(
        self,
        volumes: Sequence[StoredVolume],
        patch_size: Sequence[int],
        foreground_share: float,
        augment: tio.Transform | None,
        seed: int,
    ) -> None:
        self.volumes = list(volumes)
        self.patch_size = tuple(patch_size)
        self.foreground_share = foreground_share
        self.augment = augment
        self.needs_tissue = needs_tissue(augment)
        self.seed = seed

    def __getitem__(self, key: Key) -> tio.Subject:
        with one_thread():
            return self._sample(*key)

    def _sample(self, epoch: int, index: int) -> tio.Subject:
        rng = np.random.default_rng((self.seed, epoch, index))
        volume = self._volume(epoch, index)
        stored = volume.image
        corner = self._corner(volume, stored.shape, rng)
        image = _crop(stored, corner, self.patch_size, fill=volume.meta["minimum"])
        label = _crop(volume.label, corner, self.patch_size, fill=0)
        spacing_mm = np.linalg.norm(np.array(volume.meta["affine"])[:3, :3], axis=0)
        affine = np.diag([*spacing_mm, 1])
        subject = tio.Subject(
            image=tio.ScalarImage(tensor=image.float(), affine=affine),
            label=tio.LabelMap(tensor=label, affine=affine),
            annotated=torch.tensor(volume.meta["annotated"]),
            case=volume.id,
        )
        if self.needs_tissue and (tissue := volume.tissue) is not None:
            codes = _crop(tissue, corner, self.patch_size, fill=CODES["air"])
            subject.add_image(tio.LabelMap(tensor=codes, affine=affine), TISSUE)
        if self.augment is not None:
            with random_state(int(rng.integers(2**32))):
                subject = self.augment(subject)
            subject["image"].set_data(subject["image"].data.float())
            if TISSUE in subject:  # a batch may also contain patches of volumes without a tissue map
                subject.remove_image(TISSUE)
            # Some spatial transforms of TorchIO return label maps as float32.
            subject["label"].set_data(subject["label"].data.to(torch.uint8))
        return subject

    def _volume(self, epoch: int, index: int) -> StoredVolume:
        """The volume of a patch: each pass over the volumes has one random order, which all its indices share."""
        number_of_pass, position = divmod(index, len(self.volumes))
        rng = np.random.default_rng((self.seed, epoch, number_of_pass, 1 << 31))
        order = rng.permutation(len(self.volumes))
        return self.volumes[int(order[position])]

    def _corner(self, volume: StoredVolume, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """First voxel of the patch in the volume; negative on axes where the volume is smaller than the patch."""
        patch = np.array(self.patch_size)
        spare = np.array(size) - patch
        classes = volume.meta["classes"]
        if classes and rng.random() < self.foreground_share:
            voxels = volume.foreground
            voxels = voxels[voxels[:, 0] == classes[rng.integers(len(classes))], 1:]
            voxel = voxels[rng.integers(len(voxels))]
            # The voxel gets a random position in the middle half of the patch, so that its surroundings vary.
            position = (patch * rng.uniform(0.25, 0.75, size=3)).astype(int)
            corner: np.ndarray = np.clip(voxel - position, 0, np.maximum(spare, 0))
        else:
            corner = rng.integers(np.maximum(spare, 0) + 1)
        corner[spare < 0] = spare[spare < 0] // 2
        return corner


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index) of one process's share of an epoch.

    The epoch is rounded up to whole batches for every process. Patches are random, so the additional ones are not
    repetitions. For example, 7 patches in batches of 2 for 2 processes become 8.

    Args:
        epoch: The epoch. It is fixed here because workers fetch patches before a later `set_epoch` could take effect.
        num_samples: Least number of patches in an epoch, over all processes.
        batch_size: Patches in a batch of one process.
        rank: Number of this process.
        world_size: Number of processes.

    Attributes:
        start: Number of keys to skip at the beginning: those of batches that a run had finished before it was stopped.
    """

    def __init__(self, epoch: int, num_samples: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.epoch = epoch
        self.start = 0
        rounds = math.ceil(num_samples / (batch_size * world_size))
        self.indices = range(rank, rounds * batch_size * world_size, world_size)

    def __iter__(self) -> Iterator[Key]:
        for index in self.indices[self.start :]:
            yield self.epoch, index

    def __len__(self) -> int:
        """Number of keys in the whole epoch, for any `start`: Lightning counts batches from the epoch's beginning."""
        return len(self.indices)


class PatchLoader(tio.SubjectsLoader):  # type: ignore[misc]
    """A loader that can start in the middle of an epoch.

    Its workers start with the first batch. This matters because Lightning makes two iterators in an epoch when it
    reloads loaders, and drops the first one with all its workers.

    Lightning saves the loader's state in every checkpoint. It loads this state when it resumes an unfinished epoch.
    """

    batches = 0  # of the epoch so far, including those before the run was resumed

    def __init__(self, dataset: PatchDataset, **kwargs: Any) -> None:  # noqa: ANN401
        stack = tio.SubjectsLoader(dataset).collate_fn
        super().__init__(dataset, collate_fn=partial(_collate, stack), **kwargs)

    def __iter__(self) -> Iterator[Any]:
        first = self.sampler.start // self.batch_size + 1
        with signals_held_back():
            batches = super().__iter__()
        for number, batch in enumerate(batches, start=first):
            self.batches = number
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Position in the epoch."""
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Start the next iteration at this position."""
        self.batches = state["batches"]
        self.sampler.start = self.batches * self.batch_size


def _collate(stack: Callable[[list[tio.Subject]], Any], subjects: list[tio.Subject]) -> Any:  # noqa: ANN401
    """The batch, wrapped so that it does not pass through /dev/shm."""
    return wrap_batch(stack(subjects))


def _crop(array: blosc2.NDArray, corner: np.ndarray, size: Sequence[int], fill: float) -> Tensor:
    """Patch (1,*size) of a stored array (I,J,K) from a corner that may be outside the array."""
    start = np.maximum(corner, 0)
    stop = np.minimum(corner + size, array.shape)
    inside = array[_slices(start, stop)]
    if inside.shape == tuple(size):
        return torch.from_numpy(inside[None])
    patch = np.full(size, fill, dtype=inside.dtype)
    patch[_slices(start - corner, stop - corner)] = inside
    return torch.from_numpy(patch[None])


def _slices(start: np.ndarray, stop: np.ndarray) -> tuple[slice, ...]:
    return tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
