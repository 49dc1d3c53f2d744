"""Muscles as bundles of strands or as sheets, with planes of fat where two of them meet."""

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, tube


class Muscles:
    """Union of muscles that keeps a plane of fat between neighbours."""

    def __init__(self, part: Region) -> None:
        # In this scratch region `free` is the distance to the nearest muscle, `hu` to the second nearest.
        self._scratch = replace(part, free=np.full_like(part.x, FAR_MM), hu=np.full_like(part.x, FAR_MM))

    def add(self, distance: np.ndarray) -> None:
        """Add a muscle by its distance (I,J,K) in mm, negative inside."""
        _add(self._scratch, distance)

    def add_strands(self, strands: Sequence[np.ndarray]) -> None:
        """Add a muscle as the union of strands (N,4): points x, y, z with the radius there, in mm."""
        points = np.concatenate(strands)
        box = self._scratch.crop(points[:, :3].min(0) - 36, points[:, :3].max(0) + 36)
        if box.x.size:
            _add(box, reduce(np.minimum, (tube(box, strand[:, :3], strand[:, 3]) for strand in strands)))

    def distance(self, plane_mm: float) -> np.ndarray:
        """Distance (I,J,K) to the muscles; `plane_mm` is half the width of the fat between two of them."""
        nearest, second = self._scratch.free, self._scratch.hu
        return np.asarray(np.maximum(nearest, np.float32(plane_mm) - (second - nearest) / 2))


def _add(scratch: Region, distance: np.ndarray) -> None:
    np.minimum(scratch.hu, np.maximum(scratch.free, distance), out=scratch.hu)
    np.minimum(scratch.free, distance, out=scratch.free)
