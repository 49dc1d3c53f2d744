"""Patches for training, straight from the store."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import blosc2
import numpy as np
import torch
import torchio as tio
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from segment.data.batch_passing import passed
from segment.data.store.volume import StoredVolume
from segment.runtime.seeding import random_state
from segment.runtime.threads import one_thread

Key = tuple[int, int]  # (epoch, index)


class PatchDataset(Dataset[tio.Subject]):
    """Random patches; patch i of epoch e is a pure function of (seed, e, i).

    So neither the number of workers or threads nor what was drawn before changes a sample, and a resumed run meets the
    patches it would have met. Within an epoch every volume is drawn equally often, up to one.

    A sample is a subject of `image` (1,*patch_size) float32 and `label` (1,*patch_size) uint8, whose affine holds the
    voxel size in mm, so that augmentation can turn millimetres; and `annotated` (classes,) bool, background first:
    False for organs that are unknown in this case; and `case`, its id.

    Args:
        volumes: Stored volumes to draw from.
        patch_size: Voxels along I, J, K; a smaller volume is padded with its minimum (air) and background.
        foreground_share: Share of patches placed around a voxel of an organ, each organ of the volume being equally
            likely; the others lie anywhere. In [0, 1].
        augment: Random TorchIO transform of the patch, or None.
        seed: Another seed, other patches.
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
        self.seed = seed

    def __getitem__(self, key: Key) -> tio.Subject:
        with one_thread():
            return self._draw(*key)

    def _draw(self, epoch: int, index: int) -> tio.Subject:
        rng = np.random.default_rng((self.seed, epoch, index))
        # Every pass over the volumes is one shuffled deck, shared by the indices of that pass.
        deck = np.random.default_rng((self.seed, epoch, index // len(self.volumes), 1 << 31))
        volume = self.volumes[deck.permutation(len(self.volumes))[index % len(self.volumes)]]
        stored = volume.image
        corner = self._corner(volume, stored.shape, rng)
        image = _crop(stored, corner, self.patch_size, fill=volume.meta["minimum"])
        label = _crop(volume.label, corner, self.patch_size, fill=0)
        affine = np.diag([*np.linalg.norm(np.array(volume.meta["affine"])[:3, :3], axis=0), 1])
        subject = tio.Subject(
            image=tio.ScalarImage(tensor=image.float(), affine=affine),
            label=tio.LabelMap(tensor=label, affine=affine),
            annotated=torch.tensor(volume.meta["annotated"]),
            case=volume.id,
        )
        if self.augment is not None:
            with random_state(int(rng.integers(2**32))):
                subject = self.augment(subject)
            subject["image"].set_data(subject["image"].data.float())
            # Some spatial transforms of TorchIO leave label maps as float32.
            subject["label"].set_data(subject["label"].data.to(torch.uint8))
        return subject

    def _corner(self, volume: StoredVolume, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """First voxel of the patch in the volume; negative where the volume is smaller than the patch."""
        patch = np.array(self.patch_size)
        spare = np.array(size) - patch
        classes = volume.meta["classes"]
        if classes and rng.random() < self.foreground_share:
            voxels = volume.foreground
            voxels = voxels[voxels[:, 0] == classes[rng.integers(len(classes))], 1:]
            # The organ's voxel lies anywhere in the middle half of the patch, so context varies.
            at = voxels[rng.integers(len(voxels))] - (patch * rng.uniform(0.25, 0.75, size=3)).astype(int)
            corner: np.ndarray = np.clip(at, 0, np.maximum(spare, 0))
        else:
            corner = rng.integers(np.maximum(spare, 0) + 1)
        corner[spare < 0] = spare[spare < 0] // 2
        return corner


class EpochSampler(Sampler[Key]):
    """Keys (epoch, index) of one process's share of an epoch.

    The epoch is rounded up to whole batches of every process: patches are drawn, not used up, so nothing has to be
    left out and no batch is small.

    Args:
        epoch: Given when the epoch's loader is made, because workers fetch ahead of any later `set_epoch`.
        num_samples: Patches of an epoch over all processes, at least.
        batch_size: Patches in a batch of one process.
        rank: This process.
        world_size: Number of processes.

    Attributes:
        start: Keys to leave out at the beginning: those that the epoch had behind it when it was stopped.
    """

    def __init__(self, epoch: int, num_samples: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.epoch = epoch
        self.start = 0
        rounds = math.ceil(num_samples / (batch_size * world_size))
        self.indices = range(rank, rounds * batch_size * world_size, world_size)

    def __iter__(self) -> Iterator[Key]:
        return ((self.epoch, index) for index in self.indices[self.start :])

    def __len__(self) -> int:
        """Keys of the whole epoch, wherever it starts: Lightning counts batches from its beginning."""
        return len(self.indices)


class PatchLoader(tio.SubjectsLoader):  # type: ignore[misc]
    """A loader of an epoch that goes on in the middle, and whose workers start when the first batch is asked for.

    Lightning makes two iterators an epoch of a reloaded loader and drops the first, with all its workers. It keeps the
    loader's state in every checkpoint, and gives it back when an epoch is resumed that was not at its end.
    """

    batches = 0  # that were given out, those before the resume too

    @staticmethod
    def _collate(subjects: list[tio.Subject]) -> Any:  # noqa: ANN401
        """The batch, on its way through no /dev/shm."""
        return passed(tio.SubjectsLoader._collate(subjects))

    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(super().__iter__(), start=self.sampler.start // self.batch_size + 1):
            self.batches = number
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the epoch is."""
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there."""
        self.batches = state["batches"]
        self.sampler.start = self.batches * self.batch_size


def _crop(array: blosc2.NDArray, corner: np.ndarray, size: Sequence[int], fill: float) -> Tensor:
    """Patch (1,*size) at a corner that may lie outside of a stored array (I,J,K)."""
    start = np.maximum(corner, 0)
    stop = np.minimum(corner + size, array.shape)
    inside = array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    if inside.shape == tuple(size):
        return torch.from_numpy(inside[None])
    patch = np.full(size, fill, dtype=inside.dtype)
    patch[tuple(slice(a, b) for a, b in zip(start - corner, stop - corner, strict=True))] = inside
    return torch.from_numpy(patch[None])
