"""A box of the patient that structures are drawn into."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

Corner = Sequence[float] | np.ndarray

# How far the random bend of the patient moves a point at most, plus a soft edge: boxes are cut with that much room.
SLACK_MM = 16.0

# Points of the lattice that carries a random field, per axis; the field repeats after that many cells.
_LATTICE = 16


@dataclass
class Region:
    """Views of the volume in a box; drawing into a region draws into the volume.

    Anatomical millimetres: origin in the centre of the first lumbar vertebra, x to the patient's right, y to the
    front, z to the head, scaled to a body of average size.

    Attributes:
        axes: Three ascending arrays, straight anatomical mm of each plane of voxels.
        x: (I,J,K) float32, anatomical mm after the patient's own bend; y and z likewise.
        hu: (I,J,K) float32, what is drawn so far.
        label: (I,J,K) uint8.
        free: (I,J,K) float32, mm to the nearest claimed structure, about; negative inside one.
        edge_mm: Width over which a border fades: the size of a voxel.
    """

    axes: tuple[np.ndarray, np.ndarray, np.ndarray]
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    hu: np.ndarray
    label: np.ndarray
    free: np.ndarray
    edge_mm: float

    def crop(self, low: Corner, high: Corner) -> Self:
        """The part between two corners in anatomical mm, with some room around; may be empty."""
        at = tuple(
            slice(int(np.searchsorted(axis, a - SLACK_MM)), int(np.searchsorted(axis, b + SLACK_MM)))
            for axis, a, b in zip(self.axes, low, high, strict=True)
        )
        axes = (self.axes[0][at[0]], self.axes[1][at[1]], self.axes[2][at[2]])
        x, y, z, hu, label, free = (part[at] for part in (self.x, self.y, self.z, self.hu, self.label, self.free))
        return type(self)(axes, x, y, z, hu, label, free, self.edge_mm)

    def paint(self, distance: np.ndarray, hu: float | np.ndarray, code: int | None = None) -> None:
        """Fill where the distance is negative, with a border as soft as a voxel is wide.

        Args:
            distance: (I,J,K) signed mm to the surface, negative inside.
            hu: One value, or one per voxel.
            code: Label of the structure; None leaves labels as they are.
        """
        self.hu += np.clip(np.float32(0.5) - distance / np.float32(self.edge_mm), 0, 1) * (hu - self.hu)
        if code is not None:
            self.label[distance < 0] = code

    def claim(self, distance: np.ndarray, gap_mm: float) -> np.ndarray:
        """Take room for a structure: what is left of it at a distance from all that was claimed before."""
        taken: np.ndarray = np.maximum(distance, np.float32(gap_mm) - self.free)
        self.occupy(taken)
        return taken

    def occupy(self, distance: np.ndarray) -> None:
        """Note that the inside of a shape is taken, whatever was there."""
        np.minimum(self.free, distance, out=self.free)

    def field(self, rng: np.random.Generator, cell_mm: float) -> np.ndarray:
        """Smooth random field of mean 0 and standard deviation 1: cubic B-splines on a periodic lattice.

        It depends on the place in the body, not on the voxels. Sums in einsum, not in BLAS, whose result may depend on
        the number of threads.
        """
        spread = (151 / 315) ** 1.5  # of a cubic B-spline through white noise, average over a cell, three axes
        lattice = (rng.standard_normal((_LATTICE,) * 3) / spread).astype(np.float32)
        first, second, third = (_spline_weights(axis / cell_mm) for axis in self.axes)
        plane = np.einsum("abc,kc->abk", lattice, third)
        plane = np.einsum("abk,jb->ajk", plane, second)
        field: np.ndarray = np.einsum("ajk,ia->ijk", plane, first)
        return field


def _spline_weights(position: np.ndarray) -> np.ndarray:
    """Weights (N, lattice) of uniform cubic B-splines around each position, in cells."""
    cell = np.floor(position).astype(int)
    t = position - cell
    taps = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((len(position), _LATTICE), np.float32)
    for step, tap in enumerate(taps):
        weights[np.arange(len(position)), (cell + step) % _LATTICE] = tap / 6
    return weights
