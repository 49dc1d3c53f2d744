"""Run the network again in a few windows, moved and mirrored, and compare the masks: agreement under augmentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segment.anatomy.sides import unknown_sides
from segment.inference.best_class import best_class
from segment.inference.region import Region
from segment.inference.sliding_window import pad
from segment.inference.views import Mirrored

SHARE = 0.1  # positions of second looks, as a share of the windows that the mask took; each position has two looks
ENOUGH = 0.05  # a further position must add at least so much of an organ, summed over the organs
LEAST_COVERED = 0.3  # share of an organ that a second look must see to say something about it

Corner = tuple[int, ...]


@dataclass(frozen=True)
class Look:
    """How a second look compares with the first one, in the windows of the second.

    Attributes:
        agreement: (C,) Dice of each class between both; NaN if the look saw less than `LEAST_COVERED` of the organ.
        size: (C,) volume of each class in this look as a share of that in the first, at most 9; NaN likewise.
        expected_dice: (C,) what the network expects in this look, see `Evidence`; 0 for a class that it does not find.
        volume: (C,) voxels of each class in this look, and in the first one in the same windows: (2,C).
    """

    agreement: np.ndarray
    size: np.ndarray
    expected_dice: np.ndarray
    volume: np.ndarray


def look_again(
    run: Callable[[Tensor], Tensor],
    patch_size: Sequence[int],
    image: Tensor,
    region: Region,
    organs: Sequence[str],
    windows: int,
) -> dict[str, Look]:
    """Look again where the organs are: `moved`, in windows at other places than before, and `mirrored`.

    The windows are placed so that they cover as much of each organ as possible.

    Args:
        run: The network: maps (1,1,*patch_size) to logits (1,C,*patch_size).
        patch_size: Its windows.
        image: (1,1,I,J,K), preprocessed.
        region: The first look.
        organs: Class i is organs[i-1].
        windows: Number of windows that the first look took. There are at most a fifth as many second looks, and two.

    Returns:
        The looks by name; empty if the first look found nothing. Without `mirrored` if the name of an organ does not
        say whether it lies on one side.
    """
    view, classes = Mirrored(organs), 1 + len(organs)
    names = ("moved",) if unknown_sides(organs) else ("moved", "mirrored")
    padded, origin = pad(image, patch_size)
    first = best_class(region.logits).cpu()
    start = [a + b for a, b in zip(region.start, origin, strict=True)]
    corners = _positions(first, start, patch_size, padded.shape[2:], max(1, int(SHARE * windows)))
    counts = {name: np.zeros((5, classes)) for name in names}
    for corner in corners:
        part = tuple(slice(c, c + n) for c, n in zip(corner, patch_size, strict=True))
        before = _in_window(first, start, corner, patch_size)
        window = padded[:, :, *part]
        counts["moved"] += _counts(before, run(window)[0].cpu())
        if "mirrored" in names:
            mirrored = view.undo(Region(run(view.show(window))[0], (0, 0, 0)), patch_size)
            counts["mirrored"] += _counts(before, mirrored.logits.cpu())
    total = np.bincount(first.numpy().ravel(), minlength=classes)
    return {name: _look(count, total) for name, count in counts.items()} if corners else {}


def _positions(
    first: Tensor, start: Sequence[int], patch_size: Sequence[int], size: Sequence[int], most: int
) -> list[Corner]:
    """Corners of windows that cover the organs, the best first: at most `most`, none for an empty mask."""
    left = first.numpy().copy()
    total = np.bincount(left.ravel())
    total[0] = 0
    corners: list[Corner] = []
    candidates = _candidates(left, start, patch_size, size)
    while candidates and len(corners) < most:
        gains = []
        for corner in candidates:
            inside = np.bincount(left[_overlap(left.shape, start, corner, patch_size)[0]].ravel(), minlength=len(total))
            gains.append(float((inside / np.maximum(total, 1))[total > 0].sum()))
        best = int(np.argmax(gains))
        if gains[best] < ENOUGH:
            break
        corners.append(candidates[best])
        left[_overlap(left.shape, start, candidates[best], patch_size)[0]] = 0
    return corners


def _candidates(mask: np.ndarray, start: Sequence[int], patch_size: Sequence[int], size: Sequence[int]) -> list[Corner]:
    """Windows around the middle of each organ and of all organs, inside a volume of `size` voxels."""
    middles = []
    for index in np.unique(mask[mask > 0]):
        middles.append(np.argwhere(mask == index).mean(axis=0))
    if not middles:
        return []
    middles = [np.mean(middles, axis=0), *middles]
    corners = []
    for middle in middles:
        corner = np.round(middle + np.array(start) - np.array(patch_size) / 2).astype(int)
        corners.append(tuple(int(n) for n in np.clip(corner, 0, np.array(size) - np.array(patch_size))))
    return list(dict.fromkeys(corners))


def _overlap(
    shape: Sequence[int], start: Sequence[int], corner: Corner, patch_size: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What a window and a box share: in coordinates of the box, and of the window."""
    in_box, in_window = [], []
    for n, first, c, patch in zip(shape, start, corner, patch_size, strict=True):
        low, high = max(first, c), max(first, c, min(first + n, c + patch))
        in_box.append(slice(low - first, high - first))
        in_window.append(slice(low - c, high - c))
    return tuple(in_box), tuple(in_window)


def _in_window(first: Tensor, start: Sequence[int], corner: Corner, patch_size: Sequence[int]) -> Tensor:
    """The first mask in a window; background outside of its box."""
    in_box, in_window = _overlap(first.shape, start, corner, patch_size)
    mask = torch.zeros(tuple(patch_size), dtype=torch.uint8)
    mask[in_window] = first[in_box]
    return mask


def _counts(one: Tensor, logits: Tensor) -> np.ndarray:
    """For each class, (5,C): voxels in both masks, the first, the second; its probability in all, and in the second."""
    classes = len(logits)
    two = best_class(logits)
    probs = logits.softmax(dim=0).flatten(1)
    own = probs.gather(0, two.flatten().long()[None])[0]
    rows = [np.bincount(mask.numpy().ravel(), minlength=classes) for mask in (one[one == two], one, two)]
    inside = np.bincount(two.numpy().ravel(), own.numpy(), minlength=classes)
    return np.stack([*rows, probs.double().sum(dim=1).numpy(), inside])


def _look(counts: np.ndarray, total: np.ndarray) -> Look:
    both, one, two, mass, inside = counts
    seen = (one >= LEAST_COVERED * total) & (one > 0)
    return Look(
        agreement=np.where(seen, 2 * both / np.maximum(one + two, 1), np.nan),
        size=np.where(seen, np.minimum(two / np.maximum(one, 1), 9), np.nan),
        expected_dice=2 * inside / np.maximum(two + mass, 1),
        volume=np.stack([two, one]),
    )
