"""Find the slice of a CT that a frame of a DICOM segmentation covers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segment.errors import UserError
from segment.io.grid import GRID_TOLERANCE
from segment.io.scan import Scan


@dataclass(frozen=True)
class FramePosition:
    """Position of a frame in the CT, rounded to whole voxels, and the rounding error.

    Attributes:
        start: (3,) voxel of the CT at the frame's first pixel.
        steps: (3,2) voxels of the CT per column and per row of the frame.
        offset_mm: Largest rounding error of a corner.
        offset_voxels: The same in voxels of the CT, along the axis where it is largest.
        at_mm: (3,) RAS+ position of the frame's first pixel.
    """

    start: np.ndarray
    steps: np.ndarray
    offset_mm: float
    offset_voxels: float
    at_mm: np.ndarray


def locate_frame(affine: np.ndarray, shape: tuple[int, ...], like: Scan) -> FramePosition:
    """Find the position in the CT of a frame with this in-plane affine and shape (columns, rows)."""
    to_voxel = np.linalg.inv(like.affine)
    steps = np.rint(to_voxel[:3, :3] @ affine[:, :2]).astype(int)
    start = np.rint(to_voxel[:3] @ [*affine[:, 2], 1]).astype(int)
    ends = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) * (shape[0] - 1, shape[1] - 1, 1)
    index = steps @ ends[:, :2].T + start[:, None]  # (3,4): corners of the frame in voxels of the CT
    apart_mm = affine @ ends.T - (like.affine[:3, :3] @ index + like.affine[:3, 3:])
    offset_mm = float(np.linalg.norm(apart_mm, axis=0).max())
    offset_voxels = float(np.abs(to_voxel[:3, :3] @ apart_mm).max())
    return FramePosition(start, steps, offset_mm, offset_voxels, affine[:, 2])


def slice_view(mask: np.ndarray, position: FramePosition, plane: np.ndarray, path: Path) -> np.ndarray:
    """Return the slice of a mask that a frame (I,J) covers, as a view with the frame's own order of axes.

    Raises:
        UserError: When the frame is not on a slice of the CT, or does not cover the whole slice.
    """
    steps, start = position.steps, position.start
    i, j = np.abs(steps).argmax(axis=0)
    is_parallel = (np.abs(steps).sum(axis=0) == 1).all() and i != j
    k = 3 - i - j
    if position.offset_voxels > GRID_TOLERANCE or not is_parallel or not 0 <= start[k] < mask.shape[k]:
        msg = (
            f"{path} has a frame at {position.at_mm.round(3).tolist()} mm (RAS+) that is not on a slice of its CT, "
            f"but {position.offset_mm:.3g} mm or some slices away; give the CT it was annotated on, or resample the "
            "segmentation onto it"
        )
        raise UserError(msg)
    view = mask.transpose(i, j, k)[:: steps[i, 0], :: steps[j, 1], start[k]]
    first_i = 0 if steps[i, 0] > 0 else mask.shape[i] - 1
    first_j = 0 if steps[j, 1] > 0 else mask.shape[j] - 1
    if view.shape != plane.shape or (start[i], start[j]) != (first_i, first_j):
        msg = (
            f"{path} has frames of {plane.shape} voxels that begin at voxel {start.tolist()} of its CT, which has "
            f"{view.shape} per slice; give the CT it was annotated on, or resample the segmentation onto it"
        )
        raise UserError(msg)
    return view
