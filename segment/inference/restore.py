"""Turn logits on the preprocessed grid into a mask on the CT's own grid, in limited memory."""

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from segment.inference.best_class import best_class
from segment.preprocess.separable import apply_along_axes, linear_weights

SLAB_VOXELS = 4_000_000  # voxels of the CT with logits in memory at once: 80 MB of float32 for five classes
EDGE = 1e-4  # tolerance in voxels: rounding may put a voxel at the border slightly outside


def restore(logits: Tensor, affine: np.ndarray, shape: tuple[int, ...], scan_affine: np.ndarray) -> np.ndarray:
    """Interpolate logits at every voxel of the CT and take the class with the highest one.

    Works slab by slab, so that at most `SLAB_VOXELS` voxels of logits exist at the CT's resolution. Voxels of the CT
    that preprocessing cropped away become background.

    Args:
        logits: (C,I,J,K) on the preprocessed grid.
        affine: Voxel → RAS+ mm of that grid. Its axes are parallel to the CT's, in any order and direction.
        shape: The CT's own (I,J,K).
        scan_affine: The CT's own voxel → RAS+ mm.

    Returns:
        Class indices, uint8, with the CT's shape and orientation.

    Raises:
        ValueError: When preprocessing rotated the grid.
    """
    # Axis a of the CT is parallel to axis order[a] of the logits, and has the opposite direction if flip[a] is -1.
    orientation = _orientation(affine, scan_affine)
    order, flip = orientation[:, 0].astype(int), orientation[:, 1]
    size = tuple(shape[a] for a in np.argsort(order))
    aligned = scan_affine @ nib.orientations.inv_ornt_aff(orientation, shape)
    scale, offset = _scale_and_offset(np.linalg.inv(affine) @ aligned)
    inside, weights = [], []
    for axis, n in enumerate(logits.shape[1:]):
        positions = torch.arange(size[axis], dtype=torch.float64) * scale[axis] + offset[axis]
        first, stop = _inside(positions, n)
        inside.append(slice(first, stop))
        weights.append(linear_weights(n, positions[first:stop]))
    # Zeros that are never written take no memory, and most voxels of a large CT are far from any organ.
    result = np.zeros(shape, dtype=np.uint8)
    mask = result[tuple(slice(None, None, int(f)) for f in flip)].transpose(np.argsort(order))[tuple(inside)]
    if not mask.size:
        return result
    slab = max(1, SLAB_VOXELS // (mask.shape[1] * mask.shape[2]))
    for start in range(0, mask.shape[0], slab):
        part = slice(start, start + slab)
        mask[part] = best_class(apply_along_axes(logits, [weights[0][part], weights[1], weights[2]])).cpu().numpy()
    return result


def _inside(positions: torch.Tensor, n: int) -> tuple[int, int]:
    """First of the ascending positions that lies in a line of n voxels, and the first one behind it."""
    inside = ((positions >= -0.5 - EDGE) & (positions <= n - 0.5 + EDGE)).nonzero()
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)


def _orientation(affine: np.ndarray, scan_affine: np.ndarray) -> np.ndarray:
    """For each axis of the CT, the parallel axis of the preprocessed grid and the direction, in nibabel's format."""
    rotation = np.eye(4)
    rotation[:3, :3] = np.linalg.inv(affine)[:3, :3] @ scan_affine[:3, :3]
    return np.asarray(nib.orientations.io_orientation(rotation))


def _scale_and_offset(mapping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each axis, from a voxel → voxel affine without rotation."""
    scale = np.diag(mapping[:3, :3])
    if np.abs(mapping[:3, :3] - np.diag(scale)).max() > 1e-4 * np.abs(scale).min() or scale.min() <= 0:
        msg = f"preprocessing must keep the direction of the CT's axes; it mapped voxels by\n{mapping[:3, :3]}"
        raise ValueError(msg)
    # Rounded, so that a CT gives exactly the same mask in any orientation of its file.
    return scale.round(9), mapping[:3, 3].round(6)
