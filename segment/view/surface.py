"""Organ surfaces as dense clouds of points with normals, ready to be drawn without a graphics card."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

_GRID_VOXELS = 2_000_000  # of the isotropic grid around all organs: about 2 mm for an abdomen
# Of this grid with its borders: of one organ, and of all together (160 MB).
_MOST_VOXELS, _MOST_VOXELS_IN_ALL = 4_000_000, 40_000_000
_BLUR = 0.9  # standard deviation in edges of the coarser of the two grids: enough to take the steps away
_INSIDE = 0.5
# Per organ, and of all together: an untrained network's crumbs have surface without end, and may show gaps.
_MOST_POINTS, _MOST_POINTS_IN_ALL = 3_000_000, 30_000_000


@dataclass(frozen=True)
class Surface:
    """Points on the surfaces of all organs, from the lowest to the highest, and the blurred masks they come from.

    Coordinates are millimetres from the middle of the organs: x towards the patient's left, y up to the head, z
    forward to the chest. So x and y are those of a picture of the patient seen from the front.

    Args:
        points: (N,3), sorted by y.
        normals: (N,3), outwards, of length one.
        organ: (N,) class of each point minus one.
        fields: (organs,X,Y,Z) blurred masks on the isotropic grid; inside an organ above 0.5.
        grid: The x, y and z of that grid.
        middle_mm: The middle of the organs along L, P and I, from the middle of the first voxel.
    """

    points: np.ndarray
    normals: np.ndarray
    organ: np.ndarray
    fields: np.ndarray
    grid: tuple[np.ndarray, np.ndarray, np.ndarray]
    middle_mm: np.ndarray

    @cached_property
    def radius_mm(self) -> float:
        """Of the upright cylinder around the middle that holds all points."""
        return float(np.hypot(self.points[:, 0], self.points[:, 2]).max())

    @cached_property
    def half_height_mm(self) -> float:
        """Of the same cylinder."""
        return float(np.abs(self.points[:, 1]).max())


def build_surface(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], organs: int, points_across: float
) -> Surface | None:
    """Blur each organ a little onto an isotropic grid and cover its surface with points.

    Args:
        mask: (L,P,I) class indices.
        spacing_mm: Voxel edges along L, P, I.
        organs: Number of classes without background.
        points_across: The density: this many points along a line as long as all organs together.

    Returns:
        None when the mask is empty.
    """
    boxes = ndimage.find_objects(mask, max_label=organs)
    found = [[(s.start, s.stop - 1) for s in box] for box in boxes if box is not None]
    if not found:
        return None
    edges = np.array(spacing_mm)
    low = np.min(found, axis=0)[:, 0] * edges
    high = np.max(found, axis=0)[:, 1] * edges
    step = _step(low, high, edges, organs)
    grid = [_axis(*ends, edge, step) for ends, edge in zip(zip(low, high, strict=True), edges, strict=True)]
    middle = (low + high) / 2
    fields = np.stack([_field(mask, index, box, edges, grid, step) for index, box in enumerate(boxes, start=1)])
    # From L, P, I to x, y, z: up is against I, forward against P; both axes are turned so that the grid still grows.
    fields = np.ascontiguousarray(fields.transpose(0, 1, 3, 2)[:, :, ::-1, ::-1])
    x, y, z = grid[0] - middle[0], (middle[2] - grid[2])[::-1], (middle[1] - grid[1])[::-1]
    spread_mm = float(np.linalg.norm(high - low + edges)) / points_across
    most = min(_MOST_POINTS, _MOST_POINTS_IN_ALL // organs)
    clouds = [_cloud(field, np.array([x[0], y[0], z[0]]), step, spread_mm, most) for field in fields]
    points, normals = (np.concatenate([cloud[part] for cloud in clouds]) for part in (0, 1))
    organ = np.repeat(np.arange(organs, dtype=np.uint8), [len(cloud[0]) for cloud in clouds])
    upwards = np.argsort(points[:, 1], kind="stable")
    return Surface(points[upwards], normals[upwards], organ[upwards], fields, (x, y, z), middle)


def _step(low: np.ndarray, high: np.ndarray, edges: np.ndarray, organs: int) -> float:
    """Edge of the isotropic grid's voxels in mm: that of the mask's finest axis, or as much more as bounds demand.

    The borders alone can be most of the grid: those of one voxel of 0.1×0.1×3000 mm are 24 m long.
    """
    step: float = max(float(edges.min()), float(np.prod(high - low + edges) / _GRID_VOXELS) ** (1 / 3))
    most = min(_MOST_VOXELS, _MOST_VOXELS_IN_ALL // organs)
    while np.prod((high - low + 2 * _margin(edges, step)) / step + 2) > most:
        step *= 1.1
    return step


def _margin(edge: np.ndarray | float, step: float) -> np.ndarray:
    """How far beyond an organ its blurred border ends."""
    return np.asarray(edge / 2 + 4 * _BLUR * np.maximum(edge, step))


def _axis(low: float, high: float, edge: float, step: float) -> np.ndarray:
    """Grid positions that reach so far beyond the organs that their blurred borders end inside."""
    margin = float(_margin(edge, step))
    return np.arange(low - margin, high + margin + step, step)


def _field(
    mask: np.ndarray,
    index: int,
    box: tuple[slice, ...] | None,
    edges: np.ndarray,
    grid: list[np.ndarray],
    step: float,
) -> np.ndarray:
    """One organ as a smooth share in [0, 1] on the grid, axes still L, P, I; organs too small to reach 0.5 are lifted.

    Blurring and resampling are one Gaussian matrix per axis. Its rows would add up to one on an endless scan, so an
    organ that the scan's border cuts gets a flat end there.
    """
    if box is None:
        return np.zeros([len(positions) for positions in grid], np.float32)
    field = (mask[box] == index).astype(np.float32)
    for edge, positions, part in zip(edges, grid, box, strict=True):
        sigma = _BLUR * max(float(edge), step)
        apart = positions[:, None] - np.arange(part.start, part.stop) * edge
        weights = np.exp(-0.5 * (apart / sigma) ** 2) * edge / (sigma * np.sqrt(2 * np.pi))
        field = np.tensordot(field, weights.astype(np.float32), axes=(0, 1))  # the axis done goes to the end
    peak = float(field.max())
    return np.asarray(field if peak > 1.2 * _INSIDE else field * (1.5 * _INSIDE / peak))


def _cloud(
    field: np.ndarray, origin: np.ndarray, step: float, spread_mm: float, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N,3) at most `spread_mm` apart on the surface of an organ, `most` about, and their normals, float32."""
    boxes = ndimage.find_objects((field > 1e-3).astype(np.uint8))
    if not boxes:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)
    box = boxes[0]
    corners, faces, _, _ = marching_cubes(field[box], _INSIDE)
    slopes = [ndimage.map_coordinates(slope, corners.T, order=1) for slope in np.gradient(field[box])]
    outwards = -np.stack(slopes, axis=1).astype(np.float32)
    corners = (corners + [s.start for s in box]) * step + origin
    # Triangles are cut into n² equal ones, each with a point at its centre; no side is longer than √3 grid steps.
    wanted, affordable = np.sqrt(3) * step / spread_mm, np.sqrt(most / len(faces))
    weights = _centers(max(1, int(min(np.ceil(wanted), affordable)))).astype(np.float32)  # (n², 3)
    points = (weights @ corners.astype(np.float32)[faces]).reshape(-1, 3)
    normals = (weights @ outwards[faces]).reshape(-1, 3)
    return points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


def _centers(n: int) -> np.ndarray:
    """Barycentric centres (n², 3) of the n² triangles that a triangle is cut into."""
    upright = [(a + 1 / 3, b + 1 / 3) for a in range(n) for b in range(n - a)]
    inverted = [(a + 2 / 3, b + 2 / 3) for a in range(n - 1) for b in range(n - 1 - a)]
    first, second = np.array(upright + inverted).T / n
    return np.stack([first, second, 1 - first - second], axis=1)
