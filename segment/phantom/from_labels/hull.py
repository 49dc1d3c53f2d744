"""Convex hulls of the slices of a mask, by their extent in many directions."""

import numpy as np
from scipy import ndimage

DIRECTIONS = 48


def extents_mm(mask: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Extent of each slice of a mask in every direction: its support function.

    Args:
        mask: (I,J,K) bool.
        spacing_mm: (3,) size of a voxel.

    Returns:
        (DIRECTIONS,K) float32 in mm from the corner voxel; -inf in slices without the mask. Direction d has the angle
        2π d / DIRECTIONS from the first axis towards the second.
    """
    edge = mask & ~ndimage.binary_erosion(mask, np.ones((3, 3, 1)))
    i, j, k = np.nonzero(edge)
    extents = np.full((DIRECTIONS, mask.shape[2]), -np.inf, np.float32)
    for direction, angle in enumerate(_angles()):
        along = (i * (spacing_mm[0] * np.cos(angle)) + j * (spacing_mm[1] * np.sin(angle))).astype(np.float32)
        np.maximum.at(extents[direction], k, along)
    return extents


def depth_mm(extents: np.ndarray, shape: tuple[int, ...], spacing_mm: np.ndarray) -> np.ndarray:
    """Distance (I,J,K) float32 of each voxel to the border of the hull in its slice, negative outside.

    Args:
        extents: As from `extents_mm`, perhaps enlarged.
        shape: (I,J,K).
        spacing_mm: (3,) size of a voxel.
    """
    depth = np.full(shape, np.inf, np.float32)
    i, j = np.ogrid[: shape[0], : shape[1]]
    for direction, angle in enumerate(_angles()):
        along = (i * (spacing_mm[0] * np.cos(angle)) + j * (spacing_mm[1] * np.sin(angle))).astype(np.float32)
        np.minimum(depth, extents[direction] - along[..., None], out=depth)
    return depth


def directions() -> tuple[np.ndarray, np.ndarray]:
    """Components (DIRECTIONS,) of the directions along the first and the second axis."""
    angles = _angles()
    return np.cos(angles), np.sin(angles)


def _angles() -> np.ndarray:
    return np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
