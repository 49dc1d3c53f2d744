"""One structure of a label map, in which the parts of an organ are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.fields import smooth_field
from segment.phantom.tissues import CODES


@dataclass(frozen=True)
class Part:
    """A box around one structure.

    Attributes:
        mask: (I,J,K) bool, RAS+.
        tissue: (I,J,K) uint8, codes of tissues; a view of the whole tissue map, which is modified in place.
        spacing_mm: (3,) size of a voxel.
        rng: Random numbers.
    """

    mask: np.ndarray
    tissue: np.ndarray
    spacing_mm: np.ndarray
    rng: np.random.Generator

    def fill(self, mask: np.ndarray, tissue: str) -> None:
        """Set the tissue where both masks are True."""
        self.tissue[self.mask & mask] = CODES[tissue]

    def fill_all(self, tissue: str) -> None:
        """Set the tissue of the whole structure."""
        self.tissue[self.mask] = CODES[tissue]

    def depth_mm(self) -> np.ndarray:
        """Distance to the surface of the structure: half a voxel at its outermost voxels, 0 outside.

        The box has a margin, so the end of the scan is no surface: there the box repeats the last slice.
        """
        padded = np.pad(self.mask, 1, mode="edge")
        inner = (slice(1, -1),) * 3
        depth = ndimage.distance_transform_edt(padded, self.spacing_mm)[inner]
        return np.asarray(depth, np.float32) - np.float32(self.spacing_mm.min() / 2)

    def field(self, cell_mm: float) -> np.ndarray:
        """Smooth random field, in -1 … 1."""
        return smooth_field(self.mask.shape, self.spacing_mm, cell_mm, self.rng)

    def network(self, cell_mm: float, radius_mm: float | np.ndarray) -> np.ndarray:
        """Branching tubes (I,J,K) bool: the curves on which two smooth random fields are both 0, made thick.

        Args:
            cell_mm: Scale of the fields, and about the distance between the tubes.
            radius_mm: Radius of the tubes, one or one per voxel.
        """
        slope = np.float32(0.3 / cell_mm)  # typical slope of a field where it is 0
        squared = self.field(cell_mm) ** 2 + self.field(cell_mm) ** 2
        return np.asarray(squared < (radius_mm * slope) ** 2)

    def balls(self, number: int, radii_mm: tuple[float, float], inside_mm: float = 0.0) -> np.ndarray:
        """Uneven balls (I,J,K) bool with centres in the structure.

        Args:
            number: How many.
            radii_mm: Least and largest radius.
            inside_mm: Least depth of the centres.
        """
        found = np.zeros(self.mask.shape, bool)
        candidates = np.flatnonzero(self.depth_mm() > inside_mm if inside_mm else self.mask)
        if not len(candidates):
            return found
        bumps = 0.3 * self.field(12)
        for center in self.rng.choice(candidates, number):
            offsets = self.offsets_mm(np.unravel_index(center, self.mask.shape))
            radius = self.rng.uniform(*radii_mm)
            found |= sum(o**2 for o in offsets) < (radius * (1 + bumps)) ** 2
        return found

    def offsets_mm(self, center: Sequence[float] | np.ndarray) -> list[np.ndarray]:
        """Distances from a point along I, J and K, three arrays that broadcast to (I,J,K).

        Args:
            center: (3,) position of the point in voxels.
        """
        offsets = []
        for index, middle, size in zip(
            np.ogrid[tuple(map(slice, self.mask.shape))], center, self.spacing_mm, strict=True
        ):
            offsets.append((index - middle) * size)
        return offsets
