"""Smooth random displacements of bounded size."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# A uniform cubic B-spline does not fold if its coefficients stay below this share of the distance between control
# points: Choi & Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions", Graphical Models 62, 2000.
FOLD_FREE = 1 / 2.48


def spline_weights(size: int, spacing_mm: float, grid_mm: float) -> Tensor:
    """Matrix (size, control points) of a uniform cubic B-spline over a line of voxels; rows are ≥ 0 and sum to 1.

    Args:
        size: Voxels of the line.
        spacing_mm: Distance between voxels in mm.
        grid_mm: Distance between control points in mm. The second control point is at the first voxel.
    """
    positions = torch.arange(size, dtype=torch.float32) * (spacing_mm / grid_mm)
    points = torch.arange(math.floor(float(positions[-1])) + 4) - 1
    distance = (positions[:, None] - points).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    return torch.where(distance < 1, near, far)


def random_coefficients(weights: Sequence[Tensor], limit_mm: float) -> Tensor:
    """Coefficients (3, points along I, J, K) of a displacement in mm, uniform in ± limit_mm.

    A spline is a weighted mean of its coefficients, so no voxel is displaced by more than limit_mm along any axis. The
    root mean square displacement is about a fifth of limit_mm.
    """
    points = [matrix.shape[1] for matrix in weights]
    return (torch.rand(3, *points) * 2 - 1) * limit_mm
