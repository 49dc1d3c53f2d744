"""Views of a CT for test-time augmentation: mirrored, moved and scaled.

Each view undoes its change in what the network finds. All views are on the network's grid: none is made at the CT's own
resolution.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from segment.anatomy.sides import find_pairs, mirrored_classes, unknown_sides
from segment.errors import UserError
from segment.inference.region import Region
from segment.preprocess.separable import apply_along_axes, centred_positions, linear, linear_weights

Pairs = Mapping[str, str]

SHIFT = 11  # voxels; odd, so that the poolings of a network see other neighbours together
SCALES = (0.9, 1.1)


class View(ABC):
    """A changed copy of a preprocessed volume."""

    @abstractmethod
    def size(self, size: Sequence[int]) -> tuple[int, ...]:
        """(I,J,K) of the view of a volume (I,J,K)."""

    @abstractmethod
    def show(self, image: Tensor) -> Tensor:
        """The view of a volume (1,1,I,J,K)."""

    @abstractmethod
    def undo(self, region: Region, size: Sequence[int]) -> Region:
        """What was found in the view, in a volume of `size` voxels."""


class Mirrored(View):
    """Right and left exchanged, in RAS+ orientation, and exchanged back with the right and left organs.

    Args:
        organs: Class i is organs[i-1]. An organ on one side whose partner is not among them cannot be found in the
            view: its probability is 0.
        pairs: As in `mirrored_classes`.
    """

    def __init__(self, organs: Sequence[str], pairs: Pairs | None = None) -> None:
        self.swapped = mirrored_classes(organs, pairs)
        self.alone = [index for index, source in enumerate(self.swapped) if index and not source]

    def size(self, size: Sequence[int]) -> tuple[int, ...]:
        """The same."""
        return tuple(size)

    def show(self, image: Tensor) -> Tensor:
        """See `View.show`."""
        return image.flip(2)

    def undo(self, region: Region, size: Sequence[int]) -> Region:
        """See `View.undo`."""
        logits = region.logits.flip(1)[self.swapped]
        logits[self.alone] = torch.finfo(logits.dtype).min
        return Region(logits, (size[0] - region.start[0] - logits.shape[1], *region.start[1:]))


class Moved(View):
    """Shifted by padding with air before the first voxel, so that the windows lie elsewhere in the patient.

    Args:
        voxels: How far, along all axes.
    """

    def __init__(self, voxels: int) -> None:
        self.voxels = voxels

    def size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Larger along all axes."""
        return tuple(n + self.voxels for n in size)

    def show(self, image: Tensor) -> Tensor:
        """See `View.show`."""
        return F.pad(image, (self.voxels, 0) * 3, value=float(image.min()))

    def undo(self, region: Region, size: Sequence[int]) -> Region:
        """See `View.undo`."""
        parts, start = [], []
        for first, n in zip(region.start, region.logits.shape[1:], strict=True):
            padding = min(max(self.voxels - first, 0), n - 1)  # of the region; one voxel of it is left
            parts.append(slice(padding, n))
            start.append(max(first + padding - self.voxels, 0))
        return Region(region.logits[(slice(None), *parts)], tuple(start))


class Scaled(View):
    """Enlarged or reduced by linear interpolation, so that the network sees organs of another size.

    Args:
        factor: Voxels of the view along each axis for one voxel of the volume.
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Scaled and rounded."""
        return tuple(max(1, round(self.factor * n)) for n in size)

    def show(self, image: Tensor) -> Tensor:
        """See `View.show`."""
        return linear(image[0], self.size(image.shape[2:]))[None].to(image)

    def undo(self, region: Region, size: Sequence[int]) -> Region:
        """See `View.undo`. Only voxels between centres of voxels of the region are in the result, and at least one.

        Where the region reaches the end of the view, the voxels beyond its last centre are in the result, too.
        Otherwise an organ that the volume cuts off would lose its last plane.
        """
        weights, start = [], []
        lines = zip(region.start, region.logits.shape[1:], size, self.size(size), strict=True)
        for first, n, whole, seen in lines:
            positions = centred_positions(seen, whole) - first
            after, before = positions >= 0, positions <= n - 1
            inside = ((after | (first == 0)) & (before | (first + n == seen))).nonzero().flatten()
            if not len(inside):
                inside = positions.abs().argmin()[None]
            start.append(int(inside[0]))
            weights.append(linear_weights(n, positions[inside]))
        return Region(apply_along_axes(region.logits, weights), tuple(start))


MIRRORED = "mirrored"
# Values of the option `tta`.
VIEWS: Mapping[str, Callable[[Sequence[str], Pairs], list[View]]] = {
    MIRRORED: lambda organs, pairs: [Mirrored(organs, pairs)],
    "moved": lambda organs, pairs: [Moved(SHIFT)],
    "scaled": lambda organs, pairs: [Scaled(factor) for factor in SCALES],
}


def augmentation_views(tta: Collection[str], organs: Sequence[str], stated: Pairs | None = None) -> list[View]:
    """The views that are averaged with the CT as it is; always in the same order, so that masks are the same.

    Args:
        tta: Names in `VIEWS`.
        organs: Class i is organs[i-1].
        stated: The organ that each organ is in a mirrored CT, as far as the training stated it. For the others, it
            follows from their names.

    Raises:
        UserError: When a name is unknown, or an organ on one side cannot be recognised in a mirrored CT.
    """
    stated = stated or {}
    pairs = {**find_pairs(organs), **stated}
    unknown = [name for name in tta if name not in VIEWS]
    if unknown:
        msg = f"tta={list(tta)} has {unknown[0]!r}; choose among {', '.join(VIEWS)}"
        raise UserError(msg)
    unknown = [organ for organ in unknown_sides(organs) if organ not in stated]
    if MIRRORED in tta and unknown:
        msg = (
            f"tta={list(tta)} cannot mirror {unknown[0]}, because neither its name nor pairs and single of the "
            f"training say whether it lies on one side; leave out {MIRRORED}"
        )
        raise UserError(msg)
    alone = [organ for organ, index in zip(organs, mirrored_classes(organs, pairs)[1:], strict=True) if not index]
    if MIRRORED in tta and alone:
        msg = (
            f"tta={list(tta)} cannot mirror {alone[0]}, because the checkpoint does not segment the same organ on the "
            f"other side; leave out {MIRRORED}"
        )
        raise UserError(msg)
    return [view for name, make in VIEWS.items() if name in tta for view in make(organs, pairs)]
