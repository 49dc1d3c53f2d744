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
        offset = [sum(np.float32(w) * o for w, o in zip(row, offset, strict=True)) for row in turn]  # type: ignore[misc]
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
        along = (end - start).astype(np.float32)
        x, y, z = (v - np.float32(s) for v, s in zip((part.x, part.y, part.z), start, strict=True))
        t = np.clip((x * along[0] + y * along[1] + z * along[2]) / max(float(along @ along), 1e-6), 0, 1)
        off = np.sqrt((x - t * along[0]) ** 2 + (y - t * along[1]) ** 2 + (z - t * along[2]) ** 2)
        np.minimum(part.free, off - np.float32(radius) - t * np.float32(last - radius), out=part.free)
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
