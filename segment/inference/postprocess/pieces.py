"""The connected pieces of a mask, and what surrounds them."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from segment.inference.postprocess.runs import Runs, neighbours


@dataclass(frozen=True)
class Pieces:
    """Connected pieces of all classes, the background included. Voxels that share a face are connected.

    Attributes:
        value: (P,) class index of each piece.
        voxels: (P,) number of voxels.
        sums: (P,3) twice the sum of the indices of its voxels along I, J and K. Whole numbers, so that they do not
            depend on the order of summation.
        low: (P,3) lowest index of its voxels along I, J and K.
        high: (P,3) highest index.
        pairs: (M,2) pieces that touch each other.
        runs: The runs of the mask.
        affine: (4,4) voxel → RAS+ mm.
    """

    value: np.ndarray
    voxels: np.ndarray
    sums: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: np.ndarray
    runs: Runs
    affine: np.ndarray

    @property
    def volume_ml(self) -> np.ndarray:
        """(P,) volume. Rounded, so that it does not depend on the orientation of the grid."""
        volume: np.ndarray = self.voxels * (abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000)
        return volume.round(6)

    @property
    def centre_mm(self) -> np.ndarray:
        """(P,3) RAS+ position of the centre, rounded as `volume_ml`."""
        index = self.sums / (2 * self.voxels[:, None])
        centre: np.ndarray = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return centre.round(6)

    @property
    def cut(self) -> np.ndarray:
        """(P,6) whether the border of the scan may cut a piece: at the first and the last voxels along I, J, K."""
        return np.concatenate([self.low == 0, self.high == np.array(self.runs.shape) - 1], axis=1)

    @property
    def is_enclosed(self) -> np.ndarray:
        """(P,) whether a piece does not touch the border of the box around all organs."""
        corner, size = np.array(self.runs.corner), np.array(self.runs.size)
        inside = (self.low > corner) & (self.high < corner + size - 1)
        return np.asarray(inside.all(axis=1))

    def of(self, organ: int) -> np.ndarray:
        """Indices of the pieces of a class."""
        return np.flatnonzero(self.value == organ)

    def with_values(self, value: np.ndarray) -> tuple["Pieces", np.ndarray]:
        """Pieces after each has got another class; pieces of one class that touch become one.

        Returns:
            The new pieces, and for each old piece the index of its new one, (P,).
        """
        joined = self.pairs[value[self.pairs[:, 0]] == value[self.pairs[:, 1]]]
        count, group = _components(len(value), joined)
        order = np.argsort(group, kind="stable")
        first = np.searchsorted(group[order], np.arange(count))
        merged = Pieces(
            value=value[order][first],
            voxels=np.add.reduceat(self.voxels[order], first),
            sums=np.add.reduceat(self.sums[order], first),
            low=np.minimum.reduceat(self.low[order], first),
            high=np.maximum.reduceat(self.high[order], first),
            pairs=_unique_pairs(group[self.pairs]),
            runs=self.runs,
            affine=self.affine,
        )
        return merged, group


def find_pieces(runs: Runs, affine: np.ndarray) -> tuple[Pieces, np.ndarray]:
    """Find the connected pieces of a mask.

    Args:
        runs: The runs of the mask.
        affine: (4,4) voxel → RAS+ mm.

    Returns:
        The pieces, and the index of the piece of each run, (N,).
    """
    low, lengths = runs.first_voxels(), runs.lengths
    high, sums = low.copy(), 2 * low * lengths[:, None]
    high[:, 2] += lengths - 1
    sums[:, 2] += lengths * (lengths - 1)
    each_run = Pieces(runs.value, lengths, sums, low, high, neighbours(runs), runs, affine)
    return each_run.with_values(runs.value)


def _components(count: int, pairs: np.ndarray) -> tuple[int, np.ndarray]:
    """Number of connected components of a graph, and the component of each of its `count` nodes."""
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    found, group = connected_components(edges, directed=False)
    return int(found), group


def _unique_pairs(pairs: np.ndarray) -> np.ndarray:
    """Pairs of different indices, each once, the smaller first."""
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1).astype(np.int64)
    factor = int(pairs.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(pairs[:, 0] * factor + pairs[:, 1]), factor), axis=1)
