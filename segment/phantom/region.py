"""A box of the volume to which structures are added."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy import ndimage

from segment.phantom.splines import spline_field, spline_weights
from segment.phantom.tissues import CODES

Corner = Sequence[float] | np.ndarray

# Margin around a box: the largest shift of a point by the random bend of the patient, and a soft edge.
SLACK_MM = 16.0

# The codes of FLARE22 for the organs in the label; everything else is 0.
LABELS = {
    "liver": 1,
    "right_kidney": 2,
    "spleen": 3,
    "pancreas": 4,
    "aorta": 5,
    "vena_cava": 6,
    "gallbladder": 9,
    "stomach": 11,
    "left_kidney": 13,
}

# Tissues that may be painted into a vessel without removing its label: its blood, its wall, and devices. Organs keep
# their label under any tissue, because veins and lesions are part of them.
_PARTS_OF_VESSELS = {
    "aorta": {"aorta", "calcification", "thrombus", "metal", "plastic"},
    "vena_cava": {"vena_cava", "lower_cava", "calcification", "metal", "plastic"},
}
# The label of a voxel after a tissue was painted without `organ`, by the tissue's code and the label before; uint8.
_LABEL_AFTER = np.tile(np.arange(max(LABELS.values()) + 1, dtype=np.uint8), (len(CODES), 1))
for _vessel, _parts in _PARTS_OF_VESSELS.items():
    _LABEL_AFTER[[code for _name, code in CODES.items() if _name not in _parts], LABELS[_vessel]] = 0

# Points of the lattice of a random field, per axis. The field repeats after that many cells.
_LATTICE = 16


@dataclass
class Region:
    """Views of the volume in a box. Changes to a region are changes to the volume.

    Coordinates are anatomical millimetres: the origin is the centre of the first lumbar vertebra, x points to the
    patient's right, y to the front, z to the head, and the body is scaled to average size.

    Attributes:
        axes: Three ascending arrays: coordinate of each plane of voxels in mm, without bend.
        x: (I,J,K) float32, x of each voxel in mm, with the random bend of the patient.
        y: Likewise.
        z: Likewise.
        hu: (I,J,K) float32, HU of the structures added so far.
        tissue: (I,J,K) uint8, codes of `segment.phantom.tissues`.
        label: (I,J,K) uint8, codes of LABELS.
        free: (I,J,K) float32, approximate distance to the nearest claimed structure in mm; negative inside one.
        edge_mm: Width of the soft border of a structure: the size of a voxel.
        tissue_hu: Mean HU of each tissue in this patient.
        up: Direction against gravity (x, y): (0, 1) for a patient who lies on the back.
    """

    axes: tuple[np.ndarray, np.ndarray, np.ndarray]
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    hu: np.ndarray
    tissue: np.ndarray
    label: np.ndarray
    free: np.ndarray
    edge_mm: float
    tissue_hu: Mapping[str, float]
    up: tuple[float, float] = (0.0, 1.0)

    @property
    def height(self) -> np.ndarray:
        """(I,J,K) position in mm against gravity, e.g. y for a supine patient. Gas collects where it is large."""
        right, front = self.up
        if right == 0:
            return self.y if front > 0 else -self.y
        return np.asarray(self.x * np.float32(right))

    def crop(self, low: Corner, high: Corner) -> Self:
        """The part between two corners in anatomical mm, with a margin; may be empty."""
        i, j, k = (
            slice(int(np.searchsorted(axis, first - SLACK_MM)), int(np.searchsorted(axis, last + SLACK_MM)))
            for axis, first, last in zip(self.axes, low, high, strict=True)
        )
        box = (i, j, k)
        return replace(
            self,
            axes=(self.axes[0][i], self.axes[1][j], self.axes[2][k]),
            x=self.x[box],
            y=self.y[box],
            z=self.z[box],
            hu=self.hu[box],
            tissue=self.tissue[box],
            label=self.label[box],
            free=self.free[box],
        )

    def paint(
        self, distance: np.ndarray, tissue: str, offset: float | np.ndarray = 0.0, organ: str | None = None
    ) -> None:
        """Fill the inside of a structure, with a soft border of the width of a voxel.

        Args:
            distance: (I,J,K) signed distance to the surface in mm, negative inside.
            tissue: A key of `segment.phantom.tissues.TISSUES`.
            offset: HU added to the patient's mean of this tissue: one value, or one per voxel.
            organ: A key of LABELS to put into the label; None does not change the label of an organ. A vein inside the
                liver, for example, is painted as its own tissue and keeps the label of the liver. The label of aorta
                and vena cava ends where a tissue is painted that is not part of them.
        """
        hu = np.float32(self.tissue_hu[tissue]) + offset
        self.hu += np.clip(np.float32(0.5) - distance / np.float32(self.edge_mm), 0, 1) * (hu - self.hu)
        inside = distance < 0
        self.tissue[inside] = CODES[tissue]
        if organ is not None:
            self.label[inside] = LABELS[organ]
        else:
            self.label[inside] = _LABEL_AFTER[CODES[tissue]][self.label[inside]]

    def claim(self, distance: np.ndarray, gap_mm: float, whole: bool = False) -> np.ndarray:
        """Claim the part of a structure that is at least `gap_mm` from all structures claimed before, and return it.

        Args:
            distance: (I,J,K) signed distance to its surface in mm, negative inside.
            gap_mm: Width of the fat plane that is kept free.
            whole: Remove specks that other structures cut off, for an organ that is one piece.
        """
        claimed: np.ndarray = np.maximum(distance, np.float32(gap_mm) - self.free)
        if whole:
            claimed = _drop_specks(claimed, self.edge_mm)
        self.occupy(claimed)
        return claimed

    def occupy(self, distance: np.ndarray) -> None:
        """Mark the inside of a shape as claimed, even if it overlaps other structures."""
        np.minimum(self.free, distance, out=self.free)

    def field(self, rng: np.random.Generator, cell_mm: float) -> np.ndarray:
        """Smooth random field of mean 0 and standard deviation 1: cubic B-splines on a periodic lattice.

        The value at a position in the body does not depend on the voxel size.
        """
        spread = (151 / 315) ** 1.5  # of a cubic B-spline of white noise, averaged over a cell, for three axes
        lattice = (rng.standard_normal((_LATTICE,) * 3) / spread).astype(np.float32)
        return spline_field(lattice, [spline_weights(axis / cell_mm, _LATTICE) for axis in self.axes])


def _drop_specks(distance: np.ndarray, outside_mm: float) -> np.ndarray:
    """Remove the pieces of a shape of less than 1 % of the largest one, and their soft borders.

    A larger piece is kept, because it may be joined to the others outside the scan.

    Args:
        distance: (I,J,K) signed distance in mm, negative inside.
        outside_mm: The distance to put in place of the specks.
    """
    pieces, number = ndimage.label(distance < 0)
    if number < 2:
        return distance
    sizes = np.bincount(pieces.ravel())[1:]
    specks = np.concatenate([[False], sizes < 0.01 * sizes.max()])[pieces]
    border = ndimage.binary_dilation(specks) & (pieces == 0)
    return np.where(specks | border, np.float32(outside_mm), distance)
