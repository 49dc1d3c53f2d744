"""Organ surfaces as dense point clouds with normals, which can be rendered without a graphics card."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

_GRID_VOXELS = 2_000_000  # in the isotropic grid around all organs; gives about 2 mm for an abdomen
# Limits of this grid with its margins: for one organ, and for all together (160 MB).
_MAX_VOXELS, _MAX_VOXELS_IN_ALL = 4_000_000, 40_000_000
_BLUR = 0.9  # standard deviation in voxels of the coarser grid; just enough to smooth the steps between voxels
INSIDE = 0.5  # a blurred mask is above it inside an organ
# Limits for one organ and for all together. The scattered voxels of an untrained network have a huge surface; beyond
# the limit, it may show gaps.
_MAX_POINTS, _MAX_POINTS_IN_ALL = 3_000_000, 30_000_000


@dataclass(frozen=True)
class Surface:
    """Points on the surfaces of all organs, and the blurred masks that they were computed from.

    Coordinates are millimetres from the middle of the organs: x towards the patient's left, y towards the head, z
    towards the chest. In a picture of the patient from the front, x and y are thus to the right and up.

    Args:
        points: (N,3), sorted by y.
        normals: (N,3), pointing outwards, of length one.
        organ: (N,) class of each point minus one.
        fields: (organs,X,Y,Z) blurred masks on the isotropic grid; above 0.5 inside an organ.
        grid: The x, y and z of that grid.
        middle_mm: The middle of the organs along L, P and I, from the centre of the first voxel.
    """

    points: np.ndarray
    normals: np.ndarray
    organ: np.ndarray
    fields: np.ndarray
    grid: tuple[np.ndarray, np.ndarray, np.ndarray]
    middle_mm: np.ndarray

    @cached_property
    def radius_mm(self) -> float:
        """Radius of the upright cylinder around the middle that contains all points."""
        return float(np.hypot(self.points[:, 0], self.points[:, 2]).max())

    @cached_property
    def half_height_mm(self) -> float:
        """Half the height of that cylinder."""
        return float(np.abs(self.points[:, 1]).max())

    @cached_property
    def largest(self) -> int | None:
        """Index of the organ with the largest volume, which may hide the others; None if there are no others."""
        volumes = [int(np.count_nonzero(field > INSIDE)) for field in self.fields]
        return int(np.argmax(volumes)) if sum(map(bool, volumes)) > 1 else None


def build_surface(
    mask: np.ndarray, spacing_mm: tuple[float, float, float], organs: int, points_across: float
) -> Surface | None:
    """Blur each organ slightly onto an isotropic grid and cover its surface with points.

    Args:
        mask: (L,P,I) class indices.
        spacing_mm: Voxel edges along L, P, I.
        organs: Number of classes without background.
        points_across: Density: number of points along the diagonal of the box around all organs.

    Returns:
        The surface; None if the mask is empty.
    """
    boxes = ndimage.find_objects(mask, max_label=organs)
    present = [box for box in boxes if box is not None]
    if not present:
        return None
    edges = np.array(spacing_mm)
    first = [[part.start for part in box] for box in present]
    last = [[part.stop - 1 for part in box] for box in present]
    low, high = np.min(first, axis=0) * edges, np.max(last, axis=0) * edges
    step = _step(low, high, edges, organs)
    grid = [_axis(*ends, step) for ends in zip(low, high, edges, strict=True)]
    middle = (low + high) / 2
    fields = np.stack([_field(mask, index, box, edges, grid, step) for index, box in enumerate(boxes, start=1)])
    # From L, P, I to x, y, z. Up is opposite to I and forward opposite to P, so both axes are flipped.
    fields = np.ascontiguousarray(fields.transpose(0, 1, 3, 2)[:, :, ::-1, ::-1])
    x, y, z = grid[0] - middle[0], (middle[2] - grid[2])[::-1], (middle[1] - grid[1])[::-1]
    distance_mm = float(np.linalg.norm(high - low + edges)) / points_across
    limit = min(_MAX_POINTS, _MAX_POINTS_IN_ALL // organs)
    origin = np.array([x[0], y[0], z[0]])
    clouds = [_sample_points(field, origin, step, distance_mm, limit) for field in fields]
    points = np.concatenate([own for own, _ in clouds])
    normals = np.concatenate([own for _, own in clouds])
    organ = np.repeat(np.arange(organs, dtype=np.uint8), [len(own) for own, _ in clouds])
    order = np.argsort(points[:, 1], kind="stable")
    return Surface(points[order], normals[order], organ[order], fields, (x, y, z), middle)


def _step(low: np.ndarray, high: np.ndarray, edges: np.ndarray, organs: int) -> float:
    """Edge of the isotropic grid's voxels in mm: that of the mask's finest axis, or larger if the limits require it.

    The margins alone can be most of the grid. For example, those of one voxel of 0.1×0.1×3000 mm are 24 m long.
    """
    step: float = max(float(edges.min()), float(np.prod(high - low + edges) / _GRID_VOXELS) ** (1 / 3))
    limit = min(_MAX_VOXELS, _MAX_VOXELS_IN_ALL // organs)
    while np.prod((high - low + 2 * _margin(edges, step)) / step + 2) > limit:
        step *= 1.1
    return step


def _margin(edge: np.ndarray | float, step: float) -> np.ndarray:
    """Distance in mm from an organ to the end of its blurred border."""
    return np.asarray(edge / 2 + 4 * _BLUR * np.maximum(edge, step))


def _axis(low: float, high: float, edge: float, step: float) -> np.ndarray:
    """Grid positions along one axis, with margins for the blurred borders of the organs."""
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
    """One organ as a smooth share in [0, 1] on the grid, with axes L, P, I.

    Blurring and resampling are one Gaussian matrix per axis. Voxels outside the scan count as background, so an organ
    that the scan cuts off gets a flat end there. An organ so small that its blurred peak is low is scaled up, or it
    would have no surface.
    """
    if box is None:
        return np.zeros([len(positions) for positions in grid], np.float32)
    field = (mask[box] == index).astype(np.float32)
    for edge, positions, part in zip(edges, grid, box, strict=True):
        sigma = _BLUR * max(float(edge), step)
        distances = positions[:, None] - np.arange(part.start, part.stop) * edge
        weights = np.exp(-0.5 * (distances / sigma) ** 2) * edge / (sigma * np.sqrt(2 * np.pi))
        field = np.tensordot(field, weights.astype(np.float32), axes=(0, 1))  # moves the processed axis to the end
    peak = float(field.max())
    if peak <= 1.2 * INSIDE:
        field = field * (1.5 * INSIDE / peak)
    return np.asarray(field)


def _sample_points(
    field: np.ndarray, origin: np.ndarray, step: float, distance_mm: float, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (N,3) on the surface of an organ and their normals (N,3), float32.

    Points are at most `distance_mm` apart, unless this would take more than about `limit` points.
    """
    boxes = ndimage.find_objects((field > 1e-3).astype(np.uint8))
    if not boxes:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)
    box = boxes[0]
    corners, faces, _, _ = marching_cubes(field[box], INSIDE)
    gradient = [ndimage.map_coordinates(slope, corners.T, order=1) for slope in np.gradient(field[box])]
    outwards = -np.stack(gradient, axis=1).astype(np.float32)
    corners = (corners + [part.start for part in box]) * step + origin
    # Each triangle is split into n² equal ones with a point at their centres. No side is longer than √3 grid steps.
    wanted, affordable = np.sqrt(3) * step / distance_mm, np.sqrt(limit / len(faces))
    n = max(1, int(min(np.ceil(wanted), affordable)))
    weights = _centers(n).astype(np.float32)  # (n², 3)
    points = (weights @ corners.astype(np.float32)[faces]).reshape(-1, 3)
    normals = (weights @ outwards[faces]).reshape(-1, 3)
    return points, normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


def _centers(n: int) -> np.ndarray:
    """Centres (n², 3), in barycentric coordinates, of the n² equal triangles that a triangle is split into."""
    upright = [(a + 1 / 3, b + 1 / 3) for a in range(n) for b in range(n - a)]
    inverted = [(a + 2 / 3, b + 2 / 3) for a in range(n - 1) for b in range(n - 1 - a)]
    first, second = np.array(upright + inverted).T / n
    return np.stack([first, second, 1 - first - second], axis=1)
