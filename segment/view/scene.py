"""A CT and its masks in the orientation in which a radiologist views them."""

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes

# With indices that grow towards the patient's Left, Posterior and Inferior, each of the three planes is a picture that
# needs no flip: the patient's right on the left of the picture, anterior or superior at the top.
_SCREEN_AXES = nib.orientations.axcodes2ornt(("L", "P", "I"))

_LETTER = 0.35  # smallest share of a direction that gets a letter of its own in an oblique scan


@dataclass(frozen=True)
class Scene:
    """A CT with its masks; the axes point to L, P and I.

    Args:
        ct: (L,P,I) in HU.
        pred: (L,P,I) class indices.
        reference: (L,P,I) class indices; None if there are no reference labels.
        affine: Voxel of these arrays → RAS+ mm.
        window_hu: The HU shown as black and as white.
    """

    ct: np.ndarray
    pred: np.ndarray
    reference: np.ndarray | None
    affine: np.ndarray
    window_hu: tuple[float, float]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges along L, P and I."""
        # Rounded, so that a CT stored in another orientation gives the same picture to the pixel.
        left, posterior, inferior = voxel_sizes(self.affine).round(6).tolist()
        return left, posterior, inferior

    @property
    def letters(self) -> list[list[str]]:
        """Letters of the body's sides at the low and the high end of each axis.

        In an oblique scan they may be two, the nearest side first, e.g. ["RA", "LP"] instead of ["R", "L"].
        """
        return [_letters(self.affine[:3, axis]) for axis in range(3)]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel; correct for sheared grids, too."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def cut_by(self, index: int) -> list[str]:
        """Ends of the scan that an organ touches: left, right, front, back, upper or lower; empty if it is absent."""
        ends = []
        for axis, names in enumerate((("right", "left"), ("front", "back"), ("upper", "lower"))):
            for name, end in zip(names, (0, -1), strict=True):
                if (plane(self.pred, axis, end) == index).any():
                    ends.append(name)
        return ends

    def position_mm(self, axis: int, index: int) -> float:
        """RAS coordinate of the centre of a plane, along the body axis nearest to `axis`."""
        voxel = (np.array(self.ct.shape) - 1) / 2
        voxel[axis] = index
        return float(apply_affine(self.affine, voxel)[axis])

    def gray(self, axis: int, index: int) -> np.ndarray:
        """Windowed plane of the CT as a picture (rows, columns), uint8; NaN is black."""
        low, high = self.window_hu
        share = (plane(self.ct, axis, index).astype(np.float32) - low) / (high - low)
        return np.asarray(255 * np.clip(np.nan_to_num(share, nan=0.0), 0, 1) + 0.5, dtype=np.uint8)


def _letters(direction: np.ndarray) -> list[str]:
    shares = direction / np.linalg.norm(direction)
    order = [int(axis) for axis in np.argsort(-np.abs(shares)) if abs(shares[axis]) > _LETTER]
    low = "".join("LPI"[axis] if shares[axis] > 0 else "RAS"[axis] for axis in order)
    high = "".join("RAS"[axis] if shares[axis] > 0 else "LPI"[axis] for axis in order)
    return [low, high]


def make_scene(
    ct: np.ndarray,
    pred: np.ndarray,
    reference: np.ndarray | None,
    affine: np.ndarray,
    organs: Sequence[str],
    window_hu: tuple[float, float],
) -> Scene:
    """Check that the arrays fit together and reorient them without copying.

    Args:
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        reference: (I,J,K) class indices or None.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        window_hu: The HU shown as black and as white.

    Raises:
        ValueError: If shapes differ, a class has no name, or the window is empty.
    """
    if not window_hu[0] < window_hu[1]:
        msg = f"window_hu must go from low to high, got {window_hu}"
        raise ValueError(msg)
    for name, mask in (("pred", pred), ("reference", reference)):
        if mask is None:
            continue
        if ct.ndim != 3 or mask.shape != ct.shape:
            msg = f"{name} must have the CT's shape (I,J,K) {ct.shape}, got {mask.shape}"
            raise ValueError(msg)
        if mask.max() > len(organs):
            msg = f"{name} holds class {mask.max()}, but only {len(organs)} organs are named: {list(organs)}"
            raise ValueError(msg)
    stored = nib.orientations.io_orientation(affine)
    reorientation = nib.orientations.ornt_transform(stored, _SCREEN_AXES)
    return Scene(
        ct=nib.orientations.apply_orientation(ct, reorientation),
        pred=nib.orientations.apply_orientation(pred, reorientation),
        reference=None if reference is None else nib.orientations.apply_orientation(reference, reorientation),
        affine=affine @ nib.orientations.inv_ornt_aff(reorientation, ct.shape),
        window_hu=window_hu,
    )


def plane(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A plane across `axis` of an (L,P,I) volume as a picture: rows downwards, columns to the right."""
    # Not np.take, which would first copy a volume whose axes are stored in another order.
    return volume[(slice(None),) * axis + (index,)].T
