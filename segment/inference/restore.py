"""Turn logits on the preprocessed grid into a mask on the CT's own grid, in limited memory."""

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from segment.preprocess.resample import apply_along_axes, linear_weights

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
    positions = [torch.arange(n, dtype=torch.float64) * scale[a] + offset[a] for a, n in enumerate(size)]
    weights = [linear_weights(n, p) for n, p in zip(logits.shape[1:], positions, strict=True)]
    mask = np.empty(size, dtype=np.uint8)
    slab = max(1, SLAB_VOXELS // (size[1] * size[2]))
    for start in range(0, size[0], slab):
        part = slice(start, start + slab)
        mask[part] = _best_class(apply_along_axes(logits, [weights[0][part], weights[1], weights[2]])).cpu().numpy()
    for axis, (n, position) in enumerate(zip(logits.shape[1:], positions, strict=True)):
        outside = ((position < -0.5 - EDGE) | (position > n - 0.5 + EDGE)).numpy()
        mask[(slice(None),) * axis + (outside,)] = 0
    return np.ascontiguousarray(mask.transpose(order)[tuple(slice(None, None, int(f)) for f in flip)])


def _best_class(logits: Tensor) -> Tensor:
    """`logits.argmax(dim=0)` as uint8. Several times as fast, because torch's argmax is slow along the first axis."""
    highest = logits[0]
    best = torch.zeros(highest.shape, dtype=torch.uint8, device=logits.device)
    for index, values in enumerate(logits[1:], start=1):
        best.masked_fill_(values > highest, index)
        highest = torch.maximum(highest, values)
    return best


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
