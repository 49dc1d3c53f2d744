"""Smooth random fields, and the deformation of a body that is built from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segment.phantom.splines import spline_field, spline_weights

# (distance of the control points, largest displacement), in mm. A sum of cubic B-splines cannot fold if the sum of the
# ratios displacement / distance is below 0.403 (Choi & Lee, Injectivity conditions of 2D and 3D uniform cubic B-spline
# functions, Graphical Models 62, 2000); here it is 0.29.
LEVELS = ((90.0, 18.0), (40.0, 3.5))
SCALE = 0.1  # standard deviation of the logarithm of the body's size; each axis also varies by a third of that
LARGEST_SCALE = 0.22  # largest logarithm of the change along an axis
TURN_DEGREES = 5.0  # standard deviation of the rotation about each axis


def smooth_field(shape: Sequence[int], spacing_mm: np.ndarray, cell_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth random field (I,J,K) float32 in -1 … 1: cubic B-splines with uniform random control values.

    Args:
        shape: Voxels of the field.
        spacing_mm: (3,) size of a voxel.
        cell_mm: Distance of the control points.
        rng: Random numbers.
    """
    weights = []
    for n, size in zip(shape, spacing_mm, strict=True):
        position = np.arange(n) * size / cell_mm
        weights.append(spline_weights(position, math.floor(position.max()) + 4))
    lattice = rng.uniform(-1, 1, [w.shape[1] for w in weights]).astype(np.float32)
    return spline_field(lattice, weights)


@dataclass(frozen=True)
class Deformation:
    """A smooth map from a synthetic body to the real one: it neither folds nor mirrors, so left and right are kept.

    Attributes:
        matrix: (3,3) rotation and change of size, with a positive determinant.
        levels: Distance of the control points and largest displacement, both in mm.
        seed: Seed of the displacements.
    """

    matrix: np.ndarray
    levels: tuple[tuple[float, float], ...]
    seed: int

    def positions_mm(self, shape: Sequence[int], spacing_mm: np.ndarray) -> list[np.ndarray]:
        """Positions in the real body of the voxels of a grid, relative to the grid's centre.

        Args:
            shape: Voxels of the grid.
            spacing_mm: (3,) size of a voxel.

        Returns:
            x, y and z, each (I,J,K) float32 in mm.
        """
        rng = np.random.default_rng(self.seed)
        axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing_mm, strict=True)]
        own = np.ix_(*(axis.astype(np.float32) for axis in axes))
        positions = []
        for row in self.matrix.astype(np.float32):
            position = sum(weight * axis for weight, axis in zip(row, own, strict=True))
            for cell_mm, most_mm in self.levels:
                position = position + np.float32(most_mm) * smooth_field(shape, spacing_mm, cell_mm, rng)
            positions.append(np.asarray(position))
        return positions


def sample_deformation(rng: np.random.Generator, strength: float = 1.0) -> Deformation:
    """Sample a body's size, posture and shape.

    Args:
        rng: Random numbers.
        strength: 0 keeps the body as it is; 1 varies it as much as is plausible.
    """
    sizes = rng.normal(0, SCALE) + rng.normal(0, SCALE / 3, 3)
    scale = np.exp(strength * np.clip(sizes, -LARGEST_SCALE, LARGEST_SCALE))
    matrix = np.diag(scale)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        angle = strength * np.radians(np.clip(rng.normal(0, TURN_DEGREES), -2 * TURN_DEGREES, 2 * TURN_DEGREES))
        turn = np.eye(3)
        turn[[first, second], [first, second]] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    levels = tuple((cell_mm, strength * most_mm * rng.uniform(0.3, 1)) for cell_mm, most_mm in LEVELS)
    return Deformation(matrix, levels, int(rng.integers(2**32)))
