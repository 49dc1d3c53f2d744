"""Right and left of a structure that a data set draws under one code, such as both kidneys."""

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

LARGE = 0.2  # of the largest piece: the share that makes a piece an organ of its own
SMALL = 0.02  # of the largest piece: the share that may be a shrunken organ
ACROSS = 0.25  # of a lone piece's voxels on either side of the midline: both organs, grown together
APART_MM = 30  # two organs have their centres further apart from right to left, even beside a slim spine
VERSION = 3  # raise it when the same files give other sides

Sides = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class SplitSides:
    """An annotation, one of whose structures is split into the patient's right and left one.

    Two large pieces: the one further to the right is the right organ, and any other piece belongs to the nearer one. A
    lone large piece, and any small one beside it, belongs to its side of the body's midline.

    Attributes:
        whole: The annotation as it is in the files.
        structure: What to split.
        right: Name of the right one.
        left: Name of the left one.
    """

    whole: Annotation
    structure: str
    right: str
    left: str

    @property
    def structures(self) -> Collection[str]:
        """Those of the files, with both sides in place of what is split."""
        return [*(name for name in self.whole.structures if name != self.structure), self.right, self.left]

    @property
    def files(self) -> Sequence[Path]:
        """The files."""
        return self.whole.files

    @property
    def facts(self) -> Any:  # noqa: ANN401
        """What is split, and by which rule."""
        rule = [VERSION, AIR_BELOW_HU, LARGE, SMALL, ACROSS, APART_MM]
        return ["sides", self.structure, self.right, self.left, rule, self.whole.facts]

    def read(self, scan: Scan, image: Path, organs: Sequence[str]) -> np.ndarray:
        """Class indices (I,J,K); see `Annotation`.

        Raises:
            UserError: As the annotation in the files, and when the sides cannot be told.
        """
        others = [organ for organ in organs if organ not in (self.right, self.left, self.structure)]
        if len(others) == len(organs):
            return self.whole.read(scan, image, organs)
        found = self.whole.read(scan, image, [*others, self.structure])
        index = {organ: number for number, organ in enumerate(organs, start=1)}
        table = np.array([0, *(index[organ] for organ in others), 0], np.uint8)
        classes: np.ndarray = table[found]
        mask = found == len(others) + 1
        right = right_side(mask, scan, f"{self.structure} in {self.whole.files[0]}")
        np.copyto(classes, index.get(self.right, 0), where=right)
        np.copyto(classes, index.get(self.left, 0), where=mask & ~right)
        return classes


def with_sides(annotation: Annotation, sides: Sides | None) -> Annotation:
    """An annotation whose structures are split as declared; those that it does not know are passed over.

    Args:
        annotation: As it is in the files.
        sides: Names of the right and the left one, by structure, such as `{kidney: [right_kidney, left_kidney]}`.

    Raises:
        UserError: When a structure does not get two names.
    """
    for structure, names in (sides or {}).items():
        if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
            msg = f"sides gives {structure} the names {names}; give two, as in {{kidney: [right_kidney, left_kidney]}}"
            raise UserError(msg)
        if not _lacks(annotation, structure):
            annotation = SplitSides(annotation, structure, *names)
    return annotation


def _lacks(annotation: Annotation, structure: str) -> bool:
    """Whether a structure is certainly not drawn; a damaged file, which cannot tell, is refused when it is used."""
    try:
        return structure not in annotation.structures
    except UserError:
        return False


def right_side(mask: np.ndarray, scan: Scan, what: str) -> np.ndarray:
    """Voxels of a mask that belong to the patient's right organ.

    Args:
        mask: (I,J,K) bool, both organs.
        scan: The CT; its affine tells right from left (RAS+: x grows to the right), its voxels where the body is.
        what: What the mask shows and where it comes from, for errors.

    Returns:
        (I,J,K) bool, True only in the mask.

    Raises:
        UserError: When one piece reaches across the midline, or two large ones lie on one side: close to each other, or
            with a piece on the other side that may be the other organ.
    """
    mask, affine = mask.T, scan.affine[:, [2, 1, 0, 3]]  # as files are read, K comes first in memory: SciPy's order
    right = np.zeros(mask.shape, bool)
    box = find_objects(mask.view(np.uint8))
    if not box:
        return right.T
    inside = mask[box[0]]
    pieces, count = label(inside)
    numbers = pieces[inside]
    where = _positions_mm(inside, [s.start for s in box[0]], affine)
    sizes = np.bincount(numbers)[1:]
    centres = np.stack([np.bincount(numbers, where[:, axis])[1:] / sizes for axis in range(3)], axis=1)
    # Equal sizes are ordered by place, so that the orientation of the file does not matter.
    large = np.lexsort((*centres.round(3).T, -sizes))[:2]
    middle = midline_mm(scan.data, scan.affine)
    # Rounded, so that what lies on the midline does so in every orientation.
    offsets_mm = (centres[:, 0] - middle).round(3)
    if count > 1 and sizes[large[1]] >= LARGE * sizes[large[0]]:
        _check_two(offsets_mm[large], offsets_mm[sizes > SMALL * sizes.max()], what)
        first_is_right = offsets_mm[large[0]] >= offsets_mm[large[1]]
        is_right = _nearer(where, numbers, centres, *(large if first_is_right else large[::-1]))
    else:
        _check_one((where[numbers == large[0] + 1, 0] - middle).round(3), what)
        is_right = offsets_mm > 0
    right[box[0]][inside] = is_right[numbers - 1]
    return right.T


def _positions_mm(inside: np.ndarray, first: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """RAS+ mm (n,3) of every voxel inside a box that starts at voxel `first`."""
    voxels = np.argwhere(inside) + first
    positions: np.ndarray = voxels @ affine[:3, :3].T + affine[:3, 3]
    return positions


def _nearer(where: np.ndarray, numbers: np.ndarray, centres: np.ndarray, one: int, other: int) -> np.ndarray:
    """Whether each piece's centre is at least as near to one large piece as to the other."""
    to_one, to_other = (cKDTree(where[numbers == large + 1]).query(centres)[0].round(3) for large in (one, other))
    nearer: np.ndarray = to_one <= to_other
    nearer[[one, other]] = True, False
    return nearer


def _check_two(large_mm: np.ndarray, all_mm: np.ndarray, what: str) -> None:
    """Refuse two large pieces of one organ, by how far they and all pieces but the smallest lie from the midline."""
    on_one_side = large_mm.min() * large_mm.max() > 0
    if on_one_side and (np.ptp(large_mm) < APART_MM or (all_mm * large_mm[0] < 0).any()):
        side = "right" if large_mm[0] > 0 else "left"
        msg = (
            f"{what} has two large pieces on the {side}, so its sides are unknown; annotate left and right "
            "separately, or leave the case out"
        )
        raise UserError(msg)


def _check_one(offsets_mm: np.ndarray, what: str) -> None:
    share = float(np.mean(offsets_mm > 0))
    if ACROSS <= share <= 1 - ACROSS:
        msg = (
            f"{what} is one piece with {share:.0%} of it on the right of the body's midline, as in a horseshoe kidney; "
            "annotate left and right separately, or leave the case out"
        )
        raise UserError(msg)
