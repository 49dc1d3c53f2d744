"""Separate right from left in a structure with one code for both sides, for example the kidneys."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, label
from scipy.spatial import cKDTree

from segment.anatomy.midline import midline_mm
from segment.datasets.annotation import Annotation
from segment.errors import UserError
from segment.io.scan import AIR_BELOW_HU, Scan

LARGE = 0.2  # share of the largest piece's volume from which a second piece is the other organ
SMALL = 0.02  # share of the largest piece's volume from which a piece may be a shrunken organ
ACROSS = 0.25  # share of a single large piece on each side of the midline from which it is both organs, fused
APART_MM = 30  # distance from right to left that two organs' centres exceed, even with a narrow spine between them
VERSION = 3  # raise it when a change of the code changes the result

Sides = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class SplitSides:
    """An annotation in which one structure is split into the patient's right and left organ.

    If there are two large pieces, the one further to the right is the right organ, and any other piece belongs to the
    nearer of the two. If there is only one, every piece belongs to the side of the midline that it is on.

    Attributes:
        whole: The annotation in the files.
        structure: The structure to split.
        right: Name of the right organ.
        left: Name of the left organ.
    """

    whole: Annotation
    structure: str
    right: str
    left: str

    @property
    def structures(self) -> Collection[str]:
        """Structures in the files, with both sides in place of the structure that is split."""
        return [*(name for name in self.whole.structures if name != self.structure), self.right, self.left]

    @property
    def files(self) -> Sequence[Path]:
        """The files."""
        return self.whole.files

    @property
    def cache_key(self) -> Any:  # noqa: ANN401
        """The structure, the names of its sides and the constants of the rule."""
        rule = [VERSION, AIR_BELOW_HU, LARGE, SMALL, ACROSS, APART_MM]
        return ["sides", self.structure, self.right, self.left, rule, self.whole.cache_key]

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices (I,J,K); see `Annotation`.

        Raises:
            UserError: When a file cannot be used (see `Annotation`), or the sides are ambiguous.
        """
        others = [organ for organ in organs if organ not in (self.right, self.left, self.structure)]
        if len(others) == len(organs):
            return self.whole.read(scan, image, organs)
        whole_classes = self.whole.read(scan, image, [*others, self.structure])
        index = {organ: number for number, organ in enumerate(organs, start=1)}
        lookup = np.array([0, *(index[organ] for organ in others), 0], np.uint8)
        classes: np.ndarray = lookup[whole_classes]
        mask = whole_classes == len(others) + 1
        right = right_side(mask, scan, f"{self.structure} in {self.whole.files[0]}")
        np.copyto(classes, index.get(self.right, 0), where=right)
        np.copyto(classes, index.get(self.left, 0), where=mask & ~right)
        return classes


def with_sides(annotation: Annotation, sides: Sides | None) -> Annotation:
    """Split the declared structures of an annotation; structures that it does not have are ignored.

    Args:
        annotation: The annotation in the files.
        sides: Names of the right and the left organ by structure, e.g. `{kidney: [right_kidney, left_kidney]}`.

    Raises:
        UserError: When a structure does not have two different names.
    """
    for structure, names in (sides or {}).items():
        if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
            msg = f"sides gives {structure} the names {names}; give two, as in {{kidney: [right_kidney, left_kidney]}}"
            raise UserError(msg)
        if not _lacks(annotation, structure):
            annotation = SplitSides(annotation, structure, *names)
    return annotation


def _lacks(annotation: Annotation, structure: str) -> bool:
    """Whether a structure is certainly not annotated. Damaged files raise later, when they are read."""
    try:
        return structure not in annotation.structures
    except UserError:
        return False


def right_side(mask: np.ndarray, scan: Scan, what: str) -> np.ndarray:
    """Voxels of a mask that belong to the patient's right organ.

    Args:
        mask: (I,J,K) bool, both organs.
        scan: The CT. Its affine gives the direction to the right (x in RAS+), its voxels the midline of the body.
        what: The structure and its file, named in errors.

    Returns:
        (I,J,K) bool, True only in the mask.

    Raises:
        UserError: When a single large piece extends across the midline. Also when two large pieces are on the same side
            and close together, or a piece on the other side may be the other organ.
    """
    # The transpose has the order of voxels in memory, because files store the first axis fastest.
    mask, affine = mask.T, scan.affine[:, [2, 1, 0, 3]]
    right = np.zeros(mask.shape, bool)
    box = find_objects(mask.view(np.uint8))
    if not box:
        return right.T
    inside = mask[box[0]]
    pieces, count = label(inside)
    numbers = pieces[inside]
    positions_mm = _positions_mm(inside, [s.start for s in box[0]], affine)
    sizes = np.bincount(numbers)[1:]
    centres = np.stack([np.bincount(numbers, positions_mm[:, axis])[1:] / sizes for axis in range(3)], axis=1)
    # The two largest. Pieces of equal size are sorted by position, because their order depends on the orientation.
    large = np.lexsort((*centres.round(3).T, -sizes))[:2]
    middle = midline_mm(scan.data, scan.affine)
    # Rounded because a centre on the midline must have the offset 0 in every orientation.
    offsets_mm = (centres[:, 0] - middle).round(3)
    if count > 1 and sizes[large[1]] >= LARGE * sizes[large[0]]:
        _check_two(offsets_mm[large], offsets_mm[sizes > SMALL * sizes.max()], what)
        first_is_right = offsets_mm[large[0]] >= offsets_mm[large[1]]
        is_right = _nearer(positions_mm, numbers, centres, *(large if first_is_right else large[::-1]))
    else:
        _check_one((positions_mm[numbers == large[0] + 1, 0] - middle).round(3), what)
        is_right = offsets_mm > 0
    right[box[0]][inside] = is_right[numbers - 1]
    return right.T


def _positions_mm(inside: np.ndarray, first: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """Positions (n,3) in RAS+ mm of the True voxels of a box that starts at voxel `first`."""
    voxels = np.argwhere(inside) + first
    positions: np.ndarray = voxels @ affine[:3, :3].T + affine[:3, 3]
    return positions


def _nearer(positions_mm: np.ndarray, numbers: np.ndarray, centres: np.ndarray, one: int, other: int) -> np.ndarray:
    """Whether each piece's centre is at least as near to one large piece as to the other."""
    to_one = cKDTree(positions_mm[numbers == one + 1]).query(centres)[0].round(3)
    to_other = cKDTree(positions_mm[numbers == other + 1]).query(centres)[0].round(3)
    nearer: np.ndarray = to_one <= to_other
    nearer[[one, other]] = True, False
    return nearer


def _check_two(large_mm: np.ndarray, all_mm: np.ndarray, what: str) -> None:
    """Refuse two large pieces that are probably parts of one organ.

    Args:
        large_mm: Offset of both from the midline.
        all_mm: Offset of all pieces except the smallest ones.
        what: As in `right_side`.
    """
    on_one_side = large_mm.min() * large_mm.max() > 0
    if on_one_side and (np.ptp(large_mm) < APART_MM or (all_mm * large_mm[0] < 0).any()):
        side = "right" if large_mm[0] > 0 else "left"
        msg = (
            f"{what} has two large pieces on the {side}, so right and left are unknown; annotate left and right "
            "separately, or leave the case out"
        )
        raise UserError(msg)


def _check_one(offsets_mm: np.ndarray, what: str) -> None:
    """Refuse a single large piece across the midline, by the offsets of its voxels from the midline."""
    share = float(np.mean(offsets_mm > 0))
    if ACROSS <= share <= 1 - ACROSS:
        msg = (
            f"{what} is one piece with {share:.0%} of it on the right of the body's midline, as in a horseshoe kidney; "
            "annotate left and right separately, or leave the case out"
        )
        raise UserError(msg)
