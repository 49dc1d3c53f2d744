"""Draws organ surfaces, growing from the feet upwards and turning, with numpy alone."""

from collections.abc import Sequence

import numpy as np

from segment.view.colors import Color
from segment.view.surface import Surface

_TILT = np.deg2rad(18)  # the eye stands this much above the organs, so that the growing cut is seen
_FILL = 0.82  # share of the picture that the organs may take
_LEAST_RADIUS_MM = 25.0  # of what the picture shows: a crumb must not look like an organ
_AMBIENT, _DIFFUSE, _GLOSS = 0.28, 0.72, 0.20
_SHINY_SQUARES = 4  # the highlight falls with the 2⁴th power of the cosine
_LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])  # from the upper left, behind the eye
_EYE = np.array([0.0, 0.0, 1.0])
_HALFWAY = (_LIGHT + _EYE) / np.linalg.norm(_LIGHT + _EYE)
_CUT_WHITE = 0.4  # how much paler than its surface the cut through an organ is
_DEPTH_STEPS_PER_MM = 100
_LOW_BITS = 32  # of a pixel's integer hold the number of the point, the high ones its depth


class Stage:
    """Organs before an eye that looks at the patient's front from slightly above, without perspective.

    A pixel keeps the nearest point that falls on it: depth and number of a point are packed into one integer, so that
    the nearest is a maximum. Gaps between points are closed by their neighbours.

    Args:
        surface: The organs, with points at most three pixels apart.
        colors: One per organ.
        size: Edge of the square picture in pixels.
    """

    def __init__(self, surface: Surface, colors: Sequence[Color], size: int) -> None:
        self.surface = surface
        self.radius_mm = max(surface.radius_mm, _LEAST_RADIUS_MM)
        self._size = size
        self._colors = 255 * np.array(colors, np.float32)
        tall = surface.half_height_mm * np.cos(_TILT) + self.radius_mm * np.sin(_TILT)
        self._scale = _FILL * self._size / 2 / max(self.radius_mm, tall)  # pixels per mm
        self._reach_mm = float(np.hypot(self.radius_mm, surface.half_height_mm)) + 1
        self._grown = 0
        self._front = np.zeros(self._size**2, np.int64)
        view = _view(0.0)
        self._front_points = surface.points @ view.T
        cut = (1 - _CUT_WHITE) * self._colors + _CUT_WHITE * 255
        # Point n has shade n + 1, for 0 is nothing; after them come the cuts through the organs.
        self._front_shades = _pack(np.concatenate([self._shaded(surface.normals @ view.T, surface.organ), cut]))

    def place(self, point_mm: Sequence[float], angle: float = 0.0) -> tuple[float, float, float]:
        """Column and row in the picture of a point (x, y, z), after a turn by `angle`, and its depth in mm."""
        x, y, depth = (_view(angle) @ np.asarray(point_mm)).tolist()
        middle = self._size / 2
        return middle + self._scale * x, middle - self._scale * y, depth

    def grown_to(self, height_mm: float) -> np.ndarray:
        """The organs up to a height, with the cut there, from the front; heights must rise from call to call.

        Returns:
            RGBA, uint8, (size, size, 4), colours already multiplied by alpha.
        """
        until = int(np.searchsorted(self.surface.points[:, 1], height_mm, side="right"))
        new = np.arange(self._grown, until)
        self._splat(self._front, self._front_points[new], new + 1)
        self._grown = max(until, self._grown)
        nearest = self._closed(self._front)
        self._add_cut(nearest, height_mm)
        return self._picture(nearest, self._front_shades)

    def turned_by(self, angle: float) -> np.ndarray:
        """The complete organs after a turn about the body's axis, in radians; as `grown_to`."""
        view = _view(angle)
        # A little beyond the outline, where normals are least sure.
        facing = np.flatnonzero(self.surface.normals @ view[2] > -0.1)
        normals = self.surface.normals.take(facing, axis=0) @ view.T
        shades = _pack(self._shaded(normals, self.surface.organ[facing]))
        nearest = np.zeros(self._size**2, np.int64)
        self._splat(nearest, self.surface.points.take(facing, axis=0) @ view.T, np.arange(1, len(facing) + 1))
        return self._picture(self._closed(nearest), shades)

    def _shaded(self, normals: np.ndarray, organ: np.ndarray) -> np.ndarray:
        """Blinn–Phong shading: RGB (N,3) in [0, 255] of points with these normals before the eye."""
        diffuse = np.maximum(normals @ _LIGHT.astype(np.float32), 0)
        gloss = np.maximum(normals @ _HALFWAY.astype(np.float32), 0)
        for _ in range(_SHINY_SQUARES):
            gloss *= gloss  # many times faster than a power
        light = (_AMBIENT + _DIFFUSE * diffuse)[:, None] * self._colors[organ]
        return np.asarray(np.minimum(light + 255 * _GLOSS * gloss[:, None], 255))

    def _key(self, depth_mm: np.ndarray) -> np.ndarray:
        """Depth as the high bits of a pixel's integer, above zero."""
        return ((depth_mm + self._reach_mm) * _DEPTH_STEPS_PER_MM).astype(np.int64).clip(1) << _LOW_BITS

    def _splat(self, nearest: np.ndarray, points: np.ndarray, numbers: np.ndarray) -> None:
        """Let points (N,3) before the eye take the pixels where nothing is nearer."""
        columns = (self._size / 2 + self._scale * points[:, 0]).astype(np.int64).clip(0, self._size - 1)
        rows = (self._size / 2 - self._scale * points[:, 1]).astype(np.int64).clip(0, self._size - 1)
        np.maximum.at(nearest, rows * self._size + columns, self._key(points[:, 2]) | numbers)

    def _closed(self, nearest: np.ndarray) -> np.ndarray:
        """Each pixel with the nearest of itself and its eight neighbours, (rows, columns)."""
        image = nearest.reshape(self._size, self._size)
        closed = image.copy()
        np.maximum(closed[1:], image[:-1], out=closed[1:])
        np.maximum(closed[:-1], image[1:], out=closed[:-1])
        image = closed.copy()
        np.maximum(closed[:, 1:], image[:, :-1], out=closed[:, 1:])
        np.maximum(closed[:, :-1], image[:, 1:], out=closed[:, :-1])
        return closed

    def _add_cut(self, nearest: np.ndarray, height_mm: float) -> None:
        """Close the organs at a height: where the eye's ray meets that plane inside an organ.

        From the front a column of pixels is one x of the plane and a row one z, so the blurred masks are interpolated
        by a matrix on each side.
        """
        x, y, z = self.surface.grid
        step = float(y[1] - y[0])
        floor = int((height_mm - y[0]) // step)
        if not 0 <= floor < len(y) - 1:
            return
        share = (height_mm - y[floor]) / step
        fields = (1 - share) * self.surface.fields[:, :, floor] + share * self.surface.fields[:, :, floor + 1]
        pixels = (np.arange(self._size) + 0.5 - self._size / 2) / self._scale
        depth_z = (height_mm * np.cos(_TILT) + pixels) / np.sin(_TILT)  # z met by each row
        rows = np.flatnonzero((depth_z > z[0]) & (depth_z < z[-1]))
        across, down = _hats(pixels, x, step), _hats(depth_z[rows], z, step)
        best = np.full((len(rows), self._size), 0.5, np.float32)
        keys = np.zeros(best.shape, np.int64)
        depth = self._key(height_mm * np.sin(_TILT) + depth_z[rows] * np.cos(_TILT))[:, None]
        for organ in np.flatnonzero(fields.max(axis=(1, 2)) > 0.5):
            inside = down @ fields[organ].T @ across.T
            np.copyto(keys, depth | int(len(self.surface.points) + 1 + organ), where=inside > best)
            np.maximum(best, inside, out=best)
        nearest[rows] = np.maximum(nearest[rows], keys)

    def _picture(self, nearest: np.ndarray, shades: np.ndarray) -> np.ndarray:
        """Colours of the nearest points."""
        colors: np.ndarray = shades[nearest & ((1 << _LOW_BITS) - 1)].view(np.uint8)
        return colors.reshape(self._size, self._size, 4)


def _view(angle: float) -> np.ndarray:
    """Rotation (3,3) from the organs' x, y, z to right, up and towards the eye, after a turn about y."""
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]])
    return np.asarray(tilt @ turn, dtype=np.float32)


def _hats(positions: np.ndarray, grid: np.ndarray, step: float) -> np.ndarray:
    """Matrix of linear interpolation (positions, grid); zero outside the grid."""
    return np.asarray(np.maximum(0, 1 - np.abs(positions[:, None] - grid) / step), dtype=np.float32)


def _pack(shades: np.ndarray) -> np.ndarray:
    """RGB (N,3) as RGBA in one uint32 each, after a first one that is transparent: one gather fetches a colour."""
    table = np.zeros((len(shades) + 1, 4), np.uint8)
    table[1:, :3] = shades
    table[1:, 3] = 255
    return table.view(np.uint32)[:, 0]
