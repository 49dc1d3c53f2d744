"""Renders organ surfaces, cut at a height or rotated, with numpy alone."""

from collections.abc import Sequence

import numpy as np

from segment.view.colors import Color
from segment.view.surface import Surface

_TILT = np.deg2rad(18)  # the camera looks down by this angle, so that the cut through the organs is visible
_FILL = 0.82  # share of the picture that the organs may take
_MIN_RADIUS_MM = 25.0  # shown at least; a few stray voxels must not look like an organ
_AMBIENT, _DIFFUSE, _GLOSS = 0.28, 0.72, 0.20
_GLOSS_SQUARINGS = 4  # the exponent of the highlight is 2⁴
_LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])  # from the upper left, behind the camera
_CAMERA = np.array([0.0, 0.0, 1.0])
_HALFWAY = (_LIGHT + _CAMERA) / np.linalg.norm(_LIGHT + _CAMERA)
_CUT_WHITE = 0.4  # share of white in the colour of a cut
# Opacity of a translucent organ where its surface faces the camera, at its rim, and of its cut.
_FACING_OPACITY, _RIM_OPACITY, _CUT_OPACITY = 0.45, 0.95, 0.8
_DEPTH_STEPS_PER_MM = 100
_LOW_BITS = 32  # bits of a pixel's integer for the number of the point; the higher bits are its depth


class Renderer:
    """Renders organs as seen from the patient's front, slightly from above, by orthographic projection.

    Each pixel shows the nearest of the points that fall on it. The depth and the number of a point are packed into one
    integer, so the nearest point is a maximum. Gaps between points are filled from neighbouring pixels. A translucent
    organ has a picture of its own, through which that of the others is seen where it lies in front of them.

    Args:
        surface: The organs, with points at most three pixels apart.
        colors: One per organ.
        size: Edge of the square picture in pixels.
        translucent: Index of the translucent organ; None if all are opaque.
    """

    def __init__(self, surface: Surface, colors: Sequence[Color], size: int, *, translucent: int | None = None) -> None:
        self.surface = surface
        self._translucent = translucent
        self.radius_mm = max(surface.radius_mm, _MIN_RADIUS_MM)
        self._size = size
        self._colors = 255 * np.array(colors, np.float32)
        half_height_mm = surface.half_height_mm * np.cos(_TILT) + self.radius_mm * np.sin(_TILT)
        self._scale = _FILL * self._size / 2 / max(self.radius_mm, half_height_mm)  # pixels per mm
        self._max_depth_mm = float(np.hypot(self.radius_mm, surface.half_height_mm)) + 1
        self._splatted = 0  # points that are already in `_front`
        self._front = np.zeros(2 * self._size**2, np.int64)  # the picture of the opaque organs, then the other one
        view = _view(0.0)
        self._front_points = surface.points @ view.T
        # Point n has entry n + 1, because 0 means no point. The colours of the cuts follow those of the points.
        self._front_shades = _pack_rgba(
            np.concatenate([self._shade(surface.normals @ view.T, surface.organ), self._cut_shades()])
        )

    def project(self, point_mm: Sequence[float], angle: float = 0.0) -> tuple[float, float, float]:
        """Column and row in the picture of a point (x, y, z), after a rotation by `angle`, and its depth in mm."""
        x, y, depth = (_view(angle) @ np.asarray(point_mm)).tolist()
        middle = self._size / 2
        return middle + self._scale * x, middle - self._scale * y, depth

    def render_up_to(self, height_mm: float) -> np.ndarray:
        """The organs below a height, with the cut at that height, from the front.

        Heights must not decrease from call to call, because each call adds points to the picture of the one before.

        Returns:
            RGBA, uint8, (size, size, 4), with premultiplied alpha.
        """
        until = int(np.searchsorted(self.surface.points[:, 1], height_mm, side="right"))
        new = np.arange(self._splatted, until)
        self._splat(self._front, self._front_points[new], self.surface.organ[new], new + 1)
        self._splatted = max(until, self._splatted)
        nearest = self._fill_gaps(self._front)
        self._add_cut(nearest, height_mm)
        colors = self._front_shades[_number(nearest)].view(np.uint8).reshape(*nearest.shape, 4)
        return self._picture(nearest, colors)

    def render_rotated(self, angle: float) -> np.ndarray:
        """The complete organs after a rotation about the body's axis by `angle` radians, as from `render_up_to`."""
        view = _view(angle)
        # Points that face the camera, and some beyond the outline, where normals are least accurate.
        facing = np.flatnonzero(self.surface.normals @ view[2] > -0.1)
        points, organ = self.surface.points.take(facing, axis=0), self.surface.organ[facing]
        nearest = np.zeros(2 * self._size**2, np.int64)
        self._splat(nearest, points @ view.T, organ, np.arange(1, len(facing) + 1))
        nearest = self._fill_gaps(nearest)
        # Only what is seen is shaded: the scattered voxels of an untrained network have many more points than pixels.
        seen = nearest != 0
        shown = facing[_number(nearest[seen]) - 1]
        colors = np.zeros((*nearest.shape, 4), np.uint8)
        colors[seen] = self._shade(self.surface.normals.take(shown, axis=0) @ view.T, self.surface.organ[shown])
        return self._picture(nearest, colors)

    def _cut_shades(self) -> np.ndarray:
        """RGBA (organs,4) in [0, 255] of the cuts through the organs."""
        shades = np.full((len(self._colors), 4), 255, np.float32)
        shades[:, :3] = (1 - _CUT_WHITE) * self._colors + _CUT_WHITE * 255
        if self._translucent is not None:
            shades[self._translucent, 3] *= _CUT_OPACITY
        return shades

    def _shade(self, normals: np.ndarray, organ: np.ndarray) -> np.ndarray:
        """Blinn–Phong shading: RGBA (N,4) in [0, 255] for normals (N,3) in camera coordinates."""
        diffuse = np.maximum(normals @ _LIGHT.astype(np.float32), 0)
        gloss = np.maximum(normals @ _HALFWAY.astype(np.float32), 0)
        for _ in range(_GLOSS_SQUARINGS):
            gloss *= gloss  # many times faster than a power
        shades = np.full((len(normals), 4), 255, np.float32)
        light = (_AMBIENT + _DIFFUSE * diffuse)[:, None] * self._colors[organ]
        np.minimum(light + 255 * _GLOSS * gloss[:, None], 255, out=shades[:, :3])
        if self._translucent is not None:
            clear = organ == self._translucent
            rim = (1 - np.abs(normals[clear, 2])) ** 2
            shades[clear, 3] *= _FACING_OPACITY + (_RIM_OPACITY - _FACING_OPACITY) * rim
        return shades

    def _key(self, depth_mm: np.ndarray) -> np.ndarray:
        """Depth as the high bits of a pixel's integer, above zero."""
        return ((depth_mm + self._max_depth_mm) * _DEPTH_STEPS_PER_MM).astype(np.int64).clip(1) << _LOW_BITS

    def _splat(self, nearest: np.ndarray, points: np.ndarray, organ: np.ndarray, numbers: np.ndarray) -> None:
        """Write points (N,3) in camera coordinates to the pixels in which nothing of their picture is nearer."""
        columns = (self._size / 2 + self._scale * points[:, 0]).astype(np.int64).clip(0, self._size - 1)
        rows = (self._size / 2 - self._scale * points[:, 1]).astype(np.int64).clip(0, self._size - 1)
        pixels = rows * self._size + columns
        if self._translucent is not None:
            pixels += self._size**2 * (organ == self._translucent)
        np.maximum.at(nearest, pixels, self._key(points[:, 2]) | numbers)

    def _fill_gaps(self, nearest: np.ndarray) -> np.ndarray:
        """The nearest point of each pixel and its eight neighbours, (pictures, rows, columns)."""
        image = nearest.reshape(2, self._size, self._size)[: 1 if self._translucent is None else 2]
        filled = image.copy()
        np.maximum(filled[:, 1:], image[:, :-1], out=filled[:, 1:])
        np.maximum(filled[:, :-1], image[:, 1:], out=filled[:, :-1])
        image = filled.copy()
        np.maximum(filled[:, :, 1:], image[:, :, :-1], out=filled[:, :, 1:])
        np.maximum(filled[:, :, :-1], image[:, :, 1:], out=filled[:, :, :-1])
        return filled

    def _add_cut(self, nearest: np.ndarray, height_mm: float) -> None:
        """Close the organs at a height: add the points in which a pixel's ray meets that plane inside an organ.

        From the front, a column of pixels is one x of the plane and a row is one z. The blurred masks are therefore
        interpolated by one matrix on each side.
        """
        x, y, z = self.surface.grid
        step = float(y[1] - y[0])
        floor = int((height_mm - y[0]) // step)
        if not 0 <= floor < len(y) - 1:
            return
        share = (height_mm - y[floor]) / step
        fields = (1 - share) * self.surface.fields[:, :, floor] + share * self.surface.fields[:, :, floor + 1]
        pixels = (np.arange(self._size) + 0.5 - self._size / 2) / self._scale
        z_of_rows = (height_mm * np.cos(_TILT) + pixels) / np.sin(_TILT)
        rows = np.flatnonzero((z_of_rows > z[0]) & (z_of_rows < z[-1]))
        across, down = _interpolation(pixels, x, step), _interpolation(z_of_rows[rows], z, step)
        best = np.full((len(rows), self._size), 0.5, np.float32)
        keys = np.zeros((len(nearest), *best.shape), np.int64)
        depth = self._key(height_mm * np.sin(_TILT) + z_of_rows[rows] * np.cos(_TILT))[:, None]
        for organ in np.flatnonzero(fields.max(axis=(1, 2)) > 0.5):
            inside = down @ fields[organ].T @ across.T
            is_nearest = inside > best
            keys[:, is_nearest] = 0
            number = depth | int(len(self.surface.points) + 1 + organ)
            np.copyto(keys[int(organ == self._translucent)], number, where=is_nearest)
            np.maximum(best, inside, out=best)
        nearest[:, rows] = np.maximum(nearest[:, rows], keys)

    def _picture(self, nearest: np.ndarray, colors: np.ndarray) -> np.ndarray:
        """(size, size, 4) with premultiplied alpha, from integers and colours (pictures, size, size, …) of pixels."""
        picture: np.ndarray = colors[0]
        if self._translucent is None:
            return picture
        in_front = nearest[1] > nearest[0]
        glass = colors[1][in_front].astype(np.uint16)
        opacity = glass[:, 3:].copy()
        glass[:, 3] = 255
        picture[in_front] = (opacity * glass + (255 - opacity) * picture[in_front] + 127) // 255
        return picture


def _number(nearest: np.ndarray) -> np.ndarray:
    """Numbers of points from the integers of pixels."""
    return nearest & ((1 << _LOW_BITS) - 1)


def _view(angle: float) -> np.ndarray:
    """Rotation (3,3) from the organs' x, y, z to right, up and towards the camera, after a rotation about y."""
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT)], [0, np.sin(_TILT), np.cos(_TILT)]])
    return np.asarray(tilt @ turn, dtype=np.float32)


def _interpolation(positions: np.ndarray, grid: np.ndarray, step: float) -> np.ndarray:
    """Matrix (positions, grid) of linear interpolation; zero outside the grid."""
    return np.asarray(np.maximum(0, 1 - np.abs(positions[:, None] - grid) / step), dtype=np.float32)


def _pack_rgba(shades: np.ndarray) -> np.ndarray:
    """RGBA (N,4) as (N+1,) uint32 that hold their bytes; entry 0 is transparent.

    With one integer per colour, a single lookup fetches all four bytes.
    """
    table = np.zeros((len(shades) + 1, 4), np.uint8)
    table[1:] = shades
    return table.view(np.uint32)[:, 0]
