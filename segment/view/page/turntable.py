"""Pictures of the organs from all sides, rendered before, so that a page needs no graphics card to turn them."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from segment.view.colors import organ_colors
from segment.view.page.scan import Blobs
from segment.view.renderer import Renderer
from segment.view.surface import Surface

_SIZE = 360  # pixels, edge of a picture
_COLUMNS, _ROWS = 6, 6  # of the sheet that holds all pictures
_QUALITY, _ALPHA_QUALITY = 82, 50  # of WebP; the translucent organ would take half of the sheet with exact opacity
_RING = 1.12  # radius of the ring under the organs, in radii of the organs
POINTS_ACROSS = 0.4 * _SIZE  # density of the surface that these pictures need


def pack_turntable(surface: Surface, organs: Sequence[str], blobs: Blobs) -> dict[str, Any]:
    """Render a full turn as one sheet of pictures.

    The first picture is the view from the front; each further one shows the organs turned by the same angle.

    Returns:
        The entry in the page's data: `image` (id of the WebP), `size`, `columns`, `frames`, and `ring`: for each
        picture the column, row and nearness (0 to 1) of the letters R, L, A and P, in shares of the picture.
    """
    renderer = Renderer(surface, organ_colors(organs), _SIZE, translucent=surface.largest)
    sheet = np.zeros((_ROWS * _SIZE, _COLUMNS * _SIZE, 4), np.uint8)
    count = _ROWS * _COLUMNS
    angles = [2 * np.pi * index / count for index in range(count)]
    for index, angle in enumerate(angles):
        row, column = divmod(index, _COLUMNS)
        top, left = row * _SIZE, column * _SIZE
        picture = renderer.render_rotated(angle)
        # WebP holds colours, not colours times their opacity.
        picture[..., :3] = np.minimum(255, picture[..., :3] * (255.0 / np.maximum(picture[..., 3:], 1)))
        sheet[top : top + _SIZE, left : left + _SIZE] = picture
    file = io.BytesIO()
    Image.fromarray(sheet, "RGBA").save(file, "WEBP", quality=_QUALITY, alpha_quality=_ALPHA_QUALITY, method=3)
    return {
        "image": blobs.add(base64.b64encode(file.getvalue()).decode()),
        "size": _SIZE,
        "columns": _COLUMNS,
        "frames": count,
        "ring": [_ring(renderer, angle) for angle in angles],
    }


def _ring(renderer: Renderer, angle: float) -> list[list[float]]:
    radius, low = _RING * renderer.radius_mm, -renderer.surface.half_height_mm
    _, _, middle = renderer.project((0, low, 0), angle)
    points = []
    for x, z in ((-radius, 0.0), (radius, 0.0), (0.0, radius), (0.0, -radius)):
        column, row, depth = renderer.project((x, low, z), angle)
        nearness = 0.5 + 0.5 * (depth - middle) / radius
        points.append([round(column / _SIZE, 4), round(row / _SIZE, 4), round(nearness, 3)])
    return points
