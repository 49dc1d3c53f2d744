"""Signed distances, in mm and negative inside, to the shapes from which the anatomy is built."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segment.phantom.region import Region

Point = Sequence[float] | np.ndarray

# The distance far away from a shape, where its exact value does not matter.
FAR_MM = np.float32(1e3)


def ellipsoid(region: Region, center: Point, radii: Point, turn: np.ndarray | None = None) -> np.ndarray:
    """Distance to an ellipsoid, exact at its surface to first order.

    Args:
        region: Voxels for which to compute it.
        center: Centre in anatomical mm.
        radii: Half axes in mm.
        turn: (3,3), the directions of the half axes as rows; None: those of the body.
    """
    offset = [value - np.float32(c) for value, c in zip((region.x, region.y, region.z), center, strict=True)]
    if turn is not None:
        x, y, z = offset
        offset = [row[0] * x + row[1] * y + row[2] * z for row in turn.astype(np.float32)]
    scaled = [o / np.float32(r) for o, r in zip(offset, radii, strict=True)]
    level = np.sqrt(sum(s * s for s in scaled))
    slope = np.sqrt(sum((s / np.float32(r)) ** 2 for s, r in zip(scaled, radii, strict=True)))
    return np.asarray(level * (level - 1) / (slope + np.float32(1e-6)))


def tube(region: Region, points: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance to a round tube along a chain of points whose radius changes from point to point.

    Args:
        region: Voxels for which to compute it.
        points: (N,3) anatomical mm.
        radii: (N,) mm.
    """
    distance = np.full_like(region.x, FAR_MM)
    box = replace(region, free=distance)
    for start, end, radius, last in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        reach = max(radius, last) + 12  # beyond it, FAR_MM is exact enough
        part = box.crop(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        np.minimum(part.free, _capsule(part, start, end, float(radius), float(last))[0], out=part.free)
    return distance


def curve(points: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Points (N,3 or more), about `spacing_mm` apart, on a smooth curve through the given ones (Catmull-Rom spline)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    pieces = [points[:1]]
    for before, start, end, after in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        steps = max(1, round(float(np.linalg.norm((end - start)[:3])) / spacing_mm))
        t = np.linspace(0, 1, steps + 1)[1:, None]
        cubic = 3 * start - before - 3 * end + after
        pieces.append(
            (2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2 + cubic * t**3) / 2
        )
    return np.concatenate(pieces)


def smooth_min(a: np.ndarray, b: np.ndarray, round_mm: float) -> np.ndarray:
    """Union of two shapes with a rounded seam (polynomial smooth minimum)."""
    mix = np.maximum(np.float32(round_mm) - np.abs(a - b), 0) / np.float32(round_mm)
    return np.asarray(np.minimum(a, b) - mix * mix * np.float32(round_mm / 4))


def smooth_max(a: np.ndarray, b: np.ndarray, round_mm: float) -> np.ndarray:
    """Intersection of two shapes with a rounded edge."""
    return -smooth_min(-a, -b, round_mm)


def winding_tube(
    region: Region, points: np.ndarray, radii: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to a tube that winds through a cavity, flattened where it meets itself, as bowel is.

    Args:
        region: Voxels for which to compute it.
        points: (N,3) anatomical mm. A row of NaN separates two pieces of tube.
        radii: (N,) mm. The tube ends where its radius is negative.
        neighbours: Pieces of this many points before and after one belong to the same loop and may overlap.

    Returns:
        Distance in mm, and the index of the nearest point of the tube.
    """
    nearest, other = np.full_like(region.x, FAR_MM), np.full_like(region.x, FAR_MM)
    station = np.zeros(region.x.shape, np.int16)
    box = replace(region, hu=nearest, free=other, label=station)  # to crop all three at once
    for n, (start, end, radius, last) in enumerate(zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True)):
        if max(radius, last) < 0 or np.isnan(start[0] + end[0]):
            continue
        reach = max(radius, last) + 4
        part = box.crop(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
        if not part.x.size:
            continue
        distance, t = _capsule(part, start, end, float(radius), float(last))
        same = np.abs(part.label - n) <= neighbours
        closer = distance < part.hu
        rival = np.where(closer, np.where(same, FAR_MM, part.hu), np.where(same, FAR_MM, distance))
        np.minimum(part.free, rival, out=part.free)
        np.copyto(part.hu, distance, where=closer)
        np.copyto(part.label, n + (t > np.float32(0.5)), where=closer)
    return np.maximum(nearest, (nearest - other) / 2), station


def _capsule(region: Region, start: np.ndarray, end: np.ndarray, radius: float, last: float) -> tuple[np.ndarray, ...]:
    """Distance to one straight piece of a tube, and the position along it from 0 to 1."""
    along = (end - start).astype(np.float32)
    x, y, z = (v - np.float32(s) for v, s in zip((region.x, region.y, region.z), start, strict=True))
    t = np.clip((x * along[0] + y * along[1] + z * along[2]) / max(float(along @ along), 1e-6), 0, 1)
    off = np.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2 + (z - t * along[2]) ** 2)
    return off - np.float32(radius) - t * np.float32(last - radius), t


def plate(region: Region, center: Point, normal: Point, along: Point, size: tuple[float, float, float]) -> np.ndarray:
    """Distance to a flat lens, such as a fissure: half axes in mm across it, along it, and in the third direction."""
    first = np.asarray(normal, float) / np.linalg.norm(normal)
    second = np.asarray(along, float) - first * float(np.dot(first, along))
    second /= np.linalg.norm(second)
    return ellipsoid(region, center, size, np.stack([first, second, np.cross(first, second)]))


def axes_along(length: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Perpendicular unit vectors (3,3), as rows, from a length and an approximate width: thickness, width, length."""
    length = length / np.linalg.norm(length)
    width = width - length * (width @ length)
    width /= np.linalg.norm(width)
    return np.stack([np.cross(width, length), width, length])


def sample(region: Region, values: np.ndarray, points: np.ndarray, outside: float) -> np.ndarray:
    """Values (I,J,K) at points (N,3) in anatomical mm, nearest voxel; `outside` beyond the region."""
    result = np.full(len(points), outside, np.float32)
    if not region.x.size:
        return result
    straight = np.array(points, float)
    inside = np.isfinite(straight).all(axis=1)
    for _ in range(2):  # the second pass corrects for the bend of the patient
        cells = []
        for axis, wanted in zip(region.axes, straight.T, strict=True):
            first, last = (axis[1] - axis[0], axis[-1] - axis[-2]) if len(axis) > 1 else (1, 1)
            near = np.nan_to_num(wanted)
            cells.append(np.rint(np.interp(near, axis, np.arange(len(axis)))).astype(int))  # breath stretches an axis
            inside &= (near > axis[0] - 1.5 * first) & (near < axis[-1] + 1.5 * last)
        i, j, k = (np.clip(cell, 0, len(axis) - 1) for cell, axis in zip(cells, region.axes, strict=True))
        bent = np.stack([region.x[i, j, k], region.y[i, j, k], region.z[i, j, k]], 1)
        grid = np.stack([axis[cell] for axis, cell in zip(region.axes, (i, j, k), strict=True)], 1)
        straight = points - (bent - grid)
    result[inside] = values[i, j, k][inside]
    return result
