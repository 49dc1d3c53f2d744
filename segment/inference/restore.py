"""From logits on a preprocessed grid back to a mask on the CT's own grid, in bounded memory."""

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from segment.preprocess.resample import apply_along_axes, linear_weights

SLAB_VOXELS = 4_000_000  # voxels of the CT whose logits are held at once: 80 MB of float32 at five classes
EDGE = 1e-4  # voxels by which rounding may put a border voxel outside


def restore(logits: Tensor, affine: np.ndarray, shape: tuple[int, ...], scan_affine: np.ndarray) -> np.ndarray:
    """Interpolate logits at every voxel of the CT and take the best class.

    Works slab by slab: never more than `SLAB_VOXELS` voxels of logits exist at the CT's resolution. Voxels of the CT
    that preprocessing cropped away are background.

    Args:
        logits: (C,I,J,K) on the preprocessed grid.
        affine: Voxel → RAS+ mm of that grid, whose axes run along the CT's (any order and direction).
        shape: The CT's own (I,J,K).
        scan_affine: The CT's own voxel → RAS+ mm.

    Returns:
        Class indices, uint8, of the CT's shape and orientation.

    Raises:
        ValueError: When preprocessing turned the axes (a rotation), which it must not.
    """
    # Axis a of the CT runs along axis order[a] of the logits, backwards where flip[a] is -1.
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
    """`logits.argmax(dim=0)` as uint8, several times as fast: torch's has no fast way along the first axis."""
    highest = logits[0]
    best = torch.zeros(highest.shape, dtype=torch.uint8, device=logits.device)
    for index, values in enumerate(logits[1:], start=1):
        best.masked_fill_(values > highest, index)
        highest = torch.maximum(highest, values)
    return best


def _orientation(affine: np.ndarray, scan_affine: np.ndarray) -> np.ndarray:
    """How the CT's axes run in the preprocessed grid, in nibabel's form: per CT axis the target axis and the sign."""
    turn = np.eye(4)
    turn[:3, :3] = np.linalg.inv(affine)[:3, :3] @ scan_affine[:3, :3]
    return np.asarray(nib.orientations.io_orientation(turn))


def _scale_and_offset(mapping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset per axis of an affine without rotation, voxel → voxel."""
    scale = np.diag(mapping[:3, :3])
    if np.abs(mapping[:3, :3] - np.diag(scale)).max() > 1e-4 * np.abs(scale).min() or scale.min() <= 0:
        msg = f"preprocessing must keep the direction of the CT's axes; it mapped voxels by\n{mapping[:3, :3]}"
        raise ValueError(msg)
    # Rounded, so that one CT stored in several orientations gives the same mask to the voxel.
    return scale.round(9), mapping[:3, 3].round(6)
