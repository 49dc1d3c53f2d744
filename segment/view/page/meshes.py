"""Surfaces of the organs as triangles that a page turns with WebGL."""

import base64
import zlib
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes

from segment.view.page.scan import Blobs
from segment.view.surface import INSIDE, Surface

# Triangles of one organ and of all together. With 20,000, the sides of the triangles of a liver are about 4 mm long.
_MAX_TRIANGLES, _MAX_TRIANGLES_IN_ALL = 20_000, 400_000
_STEP_MM = 0.1  # of the coordinates; larger if the organs are longer than 6.5 m


def pack_meshes(surface: Surface, spacing_mm: tuple[float, float, float], blobs: Blobs) -> dict[str, Any]:
    """Pack the surface of every organ.

    NiiVue, the usual choice, would add 2.2 MB to a page, and no Python package ships it as a library. Some hundred
    kilobytes of triangles need a few shaders only, and share the colours and the toggles of the page.

    Args:
        surface: The organs.
        spacing_mm: Voxel edges of the scan along L, P and I.
        blobs: Where the packed triangles go.

    Returns:
        The entry in the page's data: `low_mm` and `step_mm` (of the coordinates x, y, z), `half_mm` (half the box
        around all organs), `middle_mm` (the middle of this box along L, P and I, from the corner of the scan),
        `translucent` (index of the organ that is so large that it would hide the others, or None), and `meshes`: for
        each organ its number of `points` and `triangles` and the ids of both, or None if it is absent.
    """
    low = surface.points.min(axis=0).astype(np.float64)
    half = (surface.points.max(axis=0) - low) / 2
    step_mm = max(_STEP_MM, float(2 * half.max()) / 65_000)
    origin = low - 10.0  # the triangles are a little coarser than the points and may reach further
    limit = min(_MAX_TRIANGLES, _MAX_TRIANGLES_IN_ALL // len(surface.fields))
    return {
        "low_mm": origin.round(3).tolist(),
        "step_mm": step_mm,
        "half_mm": half.round(2).tolist(),
        "middle_mm": (surface.middle_mm + np.array(spacing_mm) / 2).round(3).tolist(),
        "translucent": surface.largest,
        "meshes": [_pack_mesh(surface, index, origin, step_mm, limit, blobs) for index in range(len(surface.fields))],
    }


def _pack_mesh(
    surface: Surface, index: int, origin: np.ndarray, step_mm: float, limit: int, blobs: Blobs
) -> dict[str, Any] | None:
    found = organ_triangles(surface, index, limit)
    if found is None:
        return None
    corners, faces = found
    places = np.rint((corners - origin) / step_mm).astype(np.int64)
    return {
        "points": len(places),
        "triangles": len(faces),
        "places": blobs.add(pack_integers(places.T)),
        "corners": blobs.add(pack_integers(faces.ravel())),
    }


def organ_triangles(surface: Surface, index: int, limit: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Points (N,3) in mm and triangles (M,3) of an organ, at most about `limit`, whose front is their outside.

    Returns:
        None if the organ is absent.
    """
    field = surface.fields[index]
    boxes = ndimage.find_objects((field > 1e-3).astype(np.uint8))
    if not boxes:
        return None
    part = field[boxes[0]]
    corners, faces, _, _ = marching_cubes(part, INSIDE)
    coarser = 1
    while len(faces) > limit:
        # The number of triangles falls with the square of the step.
        coarser = max(coarser + 1, round(coarser * float(np.sqrt(len(faces) / limit))))
        if not (part[::coarser, ::coarser, ::coarser] > INSIDE).any():
            break  # more triangles are better than an organ that is lost between the steps
        corners, faces, _, _ = marching_cubes(part, INSIDE, step_size=coarser)
    start = [axis[piece.start] for axis, piece in zip(surface.grid, boxes[0], strict=True)]
    step = float(surface.grid[0][1] - surface.grid[0][0])
    return corners * step + start, faces[:, ::-1]  # scikit-image's triangles show their front to the inside


def pack_integers(values: np.ndarray) -> str:
    """Whole numbers, by rows, as base64 of zlib of the differences between neighbours.

    A difference d is 2d if it is positive and -2d - 1 if not, so that small ones have small codes of 32 bits. All
    lowest bytes come first, then all second ones and so on, because the higher ones are mostly 0.
    """
    flat = np.ascontiguousarray(values, np.int64).ravel()
    differences = np.diff(flat, prepend=0)
    codes = np.where(differences < 0, -2 * differences - 1, 2 * differences).astype("<u4")
    planes = codes.view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()
