"""The page of a video's frame: two panels, captions, letters for the body's sides, and a legend."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segment.view.colors import Color
from segment.view.stage import Stage

PANEL = 512  # pixels, edge of a panel
_HEADER, _ROW, _PAD = 34, 28, 10
_PAPER, _INK, _FAINT = (17, 17, 17), (240, 240, 240), (120, 120, 120)
_CENTER_COLOR, _RIM_COLOR = 46.0, 18.0  # gray levels of the 3D panel's ground
_RING = 1.12  # radius of the ring under the organs, in radii of the organs
_RING_COLOR = (85, 85, 90)


class Frame:
    """Draws frames that share everything but the two pictures.

    Args:
        legend: One entry per organ.
        colors: One per organ.
    """

    def __init__(self, legend: Sequence[str], colors: Sequence[Color]) -> None:
        # matplotlib brings the font: it has Greek and Cyrillic, and is there on every machine.
        font = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        self._small = ImageFont.truetype(str(font), 15)
        self._large = ImageFont.truetype(str(font), 20)
        places, rows = self._legend_places(legend)
        height = _HEADER + PANEL + rows * _ROW + 2 * _PAD
        self.size = 2 * PANEL, height + height % 2  # yuv420p wants even sizes
        self._page = Image.new("RGB", self.size, _PAPER)
        draw = ImageDraw.Draw(self._page)
        for text, (left, row), color in zip(legend, places, colors, strict=True):
            middle = _HEADER + PANEL + _PAD + row * _ROW + _ROW // 2
            swatch = (int(255 * color[0]), int(255 * color[1]), int(255 * color[2]))
            draw.rectangle((left, middle - 7, left + 14, middle + 7), fill=swatch)
            draw.text((left + 22, middle), text, font=self._small, fill=_INK, anchor="lm")
        self._page.paste(_ground(), (PANEL, _HEADER))

    def _legend_places(self, legend: Sequence[str]) -> tuple[list[tuple[int, int]], int]:
        """Left end and row of each entry, and the number of rows."""
        places: list[tuple[int, int]] = []
        left, row = _PAD, 0
        for text in legend:
            width = 22 + int(self._small.getlength(text)) + 26
            if left > _PAD and left + width > 2 * PANEL:
                left, row = _PAD, row + 1
            places.append((left, row))
            left += width
        return places, row + 1

    def drawn(
        self,
        caption: str,
        picture: np.ndarray,
        organs: np.ndarray | None,
        *,
        stage: Stage | None = None,
        angle: float = 0.0,
    ) -> np.ndarray:
        """One frame, RGB uint8.

        Args:
            caption: What the left panel shows.
            picture: The left panel, RGB (PANEL, PANEL, 3).
            organs: The right panel, RGBA (PANEL, PANEL, 4) multiplied by alpha; None says that there is no organ.
            stage: What drew the organs; it knows where the body's sides are.
            angle: How far the organs are turned, in radians.
        """
        page = self._page.copy()
        draw = ImageDraw.Draw(page)
        page.paste(Image.fromarray(picture), (0, _HEADER))
        draw.text((_PAD, _HEADER // 2), caption, font=self._small, fill=_INK, anchor="lm")
        self._letters(draw)
        if organs is None or stage is None:
            middle = (PANEL * 3 // 2, _HEADER + PANEL // 2)
            draw.text(middle, "no organ found", font=self._large, fill=_FAINT, anchor="mm")
            return np.asarray(page)
        self._ring(draw, stage, angle)
        drawn = np.array(page)
        right = drawn[_HEADER : _HEADER + PANEL, PANEL:]
        ground = right.astype(np.uint16) * (255 - organs[..., 3:].astype(np.uint16)) // 255
        right[:] = ground + organs[..., :3]
        return drawn

    def _letters(self, draw: ImageDraw.ImageDraw) -> None:
        """The body's sides at the borders of the slice."""
        middle, low = PANEL // 2, _HEADER + PANEL
        places = (
            ("R", (8, _HEADER + middle), "lm"),
            ("L", (PANEL - 8, _HEADER + middle), "rm"),
            ("A", (middle, _HEADER + 6), "mt"),
            ("P", (middle, low - 6), "mb"),
        )
        for letter, place, anchor in places:
            draw.text(place, letter, font=self._large, fill=_INK, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))

    def _ring(self, draw: ImageDraw.ImageDraw, stage: Stage, angle: float) -> None:
        """A ring under the organs with the body's sides, which turn with them."""
        radius, low = _RING * stage.radius_mm, -stage.surface.half_height_mm
        left, _, _ = stage.place((-radius, low, 0))
        right, _, _ = stage.place((radius, low, 0))
        _, top, _ = stage.place((0, low, -radius))
        _, bottom, _ = stage.place((0, low, radius))
        box = (PANEL + left, _HEADER + top, PANEL + right, _HEADER + bottom)
        draw.ellipse(box, outline=_RING_COLOR, width=2)
        for letter, x, z in (("R", -radius, 0.0), ("L", radius, 0.0), ("A", 0.0, radius), ("P", 0.0, -radius)):
            column, row, depth = stage.place((x, low, z), angle)
            _, _, middle = stage.place((0, low, 0), angle)
            near = 0.5 + 0.5 * (depth - middle) / radius  # letters behind are fainter
            ink = (int(110 + 130 * near),) * 3
            place = (PANEL + column, _HEADER + row)
            draw.text(place, letter, font=self._large, fill=ink, anchor="mm", stroke_width=3, stroke_fill=_PAPER)


def _ground() -> Image.Image:
    """The 3D panel's ground: dark, a little lighter in the middle."""
    ends = np.linspace(-1, 1, PANEL)
    away = np.clip(np.hypot(ends[:, None], ends[None, :]) / np.sqrt(2), 0, 1)
    gray = (_CENTER_COLOR + (_RIM_COLOR - _CENTER_COLOR) * away).astype(np.uint8)
    return Image.fromarray(np.stack([gray, gray, gray], axis=-1))
