"""Layout of a video frame: title, two panels with captions, letters for the body's sides, and a legend."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segment.view.colors import Color
from segment.view.renderer import Renderer

PANEL = 640  # pixels, edge of a panel
_TITLE, _CAPTION, _ROW, _PAD = 36, 28, 28, 12
_HEADER = _TITLE + _CAPTION
_PAPER, _INK, _FAINT = (17, 17, 17), (240, 240, 240), (120, 120, 120)
_CENTER_GRAY, _RIM_GRAY = 46.0, 18.0  # background of the 3D panel
_RING = 1.12  # radius of the ring under the organs, in radii of the organs
_RING_COLOR = (85, 85, 90)


class Frame:
    """Composes the frames of one video, which differ only in their panels and caption.

    Args:
        title: Text at the top; shortened if it is too long.
        note: Text on the right of the title.
        sides: Letters of the body's sides at the left, right, top and bottom border of a slice.
        legend: One entry per organ.
        colors: One per organ.
    """

    def __init__(
        self, title: str, note: str, sides: Sequence[str], legend: Sequence[str], colors: Sequence[Color]
    ) -> None:
        # The font of matplotlib includes Greek and Cyrillic and is installed on every machine.
        font = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
        self._small = ImageFont.truetype(str(font), 16)
        self._large = ImageFont.truetype(str(font), 22)
        self._sides = sides
        positions, rows = self._legend_positions(legend)
        height = _HEADER + PANEL + rows * _ROW + 2 * _PAD
        self.size = 2 * PANEL, height + height % 2  # yuv420p requires even sizes
        self._page = Image.new("RGB", self.size, _PAPER)
        draw = ImageDraw.Draw(self._page)
        draw.text((2 * PANEL - _PAD, _TITLE // 2), note, font=self._small, fill=_INK, anchor="rm")
        room = 2 * PANEL - 4 * _PAD - self._small.getlength(note)
        draw.text((_PAD, _TITLE // 2), self._shortened(title, room), font=self._large, fill=_INK, anchor="lm")
        caption = "prediction in 3D, seen from the front; it turns at the end"
        draw.text((PANEL + _PAD, _TITLE + _CAPTION // 2), caption, font=self._small, fill=_INK, anchor="lm")
        for text, (left, row), color in zip(legend, positions, colors, strict=True):
            middle = _HEADER + PANEL + _PAD + row * _ROW + _ROW // 2
            swatch = (int(255 * color[0]), int(255 * color[1]), int(255 * color[2]))
            draw.rectangle((left, middle - 7, left + 14, middle + 7), fill=swatch)
            draw.text((left + 22, middle), text, font=self._small, fill=_INK, anchor="lm")
        self._page.paste(_background(), (PANEL, _HEADER))

    def _shortened(self, title: str, room: float) -> str:
        """A title in one line that is at most `room` pixels long."""
        text = " ".join(title.split())
        if self._large.getlength(text) <= room:
            return text
        while text and self._large.getlength(f"{text}…") > room:
            text = text[:-1]
        return f"{text}…"

    def _legend_positions(self, legend: Sequence[str]) -> tuple[list[tuple[int, int]], int]:
        """Left end and row of each entry, and the number of rows."""
        positions: list[tuple[int, int]] = []
        left, row = _PAD, 0
        for text in legend:
            width = 22 + int(self._small.getlength(text)) + 26
            if left > _PAD and left + width > 2 * PANEL:
                left, row = _PAD, row + 1
            positions.append((left, row))
            left += width
        return positions, row + 1

    def compose(
        self,
        caption: str,
        picture: np.ndarray,
        organs: np.ndarray | None,
        *,
        renderer: Renderer | None = None,
        angle: float = 0.0,
    ) -> np.ndarray:
        """One frame, RGB uint8.

        Args:
            caption: Text above the left panel.
            picture: The left panel, RGB (PANEL, PANEL, 3).
            organs: The right panel, RGBA (PANEL, PANEL, 4) with premultiplied alpha; None shows "no organ found".
            renderer: The renderer of `organs`; it locates the body's sides.
            angle: Rotation of the organs in radians.
        """
        page = self._page.copy()
        draw = ImageDraw.Draw(page)
        page.paste(Image.fromarray(picture), (0, _HEADER))
        draw.text((_PAD, _TITLE + _CAPTION // 2), caption, font=self._small, fill=_INK, anchor="lm")
        self._add_letters(draw)
        if organs is None or renderer is None:
            middle = (PANEL * 3 // 2, _HEADER + PANEL // 2)
            draw.text(middle, "no organ found", font=self._large, fill=_FAINT, anchor="mm")
            return np.asarray(page)
        self._add_ring(draw, renderer, angle)
        frame = np.array(page)
        right = frame[_HEADER : _HEADER + PANEL, PANEL:]
        background = right.astype(np.uint16) * (255 - organs[..., 3:].astype(np.uint16)) // 255
        right[:] = background + organs[..., :3]
        return frame

    @staticmethod
    def organs_of(frame: np.ndarray) -> np.ndarray:
        """The right panel of a frame in half its size, RGB (PANEL // 2, PANEL // 2, 3)."""
        return np.asarray(Image.fromarray(frame[_HEADER : _HEADER + PANEL, PANEL:]).reduce(2))

    def _add_letters(self, draw: ImageDraw.ImageDraw) -> None:
        """Letters of the body's sides at the borders of the slice."""
        middle, bottom = PANEL // 2, _HEADER + PANEL
        borders = (
            ((8, _HEADER + middle), "lm"),
            ((PANEL - 8, _HEADER + middle), "rm"),
            ((middle, _HEADER + 6), "mt"),
            ((middle, bottom - 6), "mb"),
        )
        for letter, (point, anchor) in zip(self._sides, borders, strict=True):
            draw.text(point, letter, font=self._large, fill=_INK, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))

    def _add_ring(self, draw: ImageDraw.ImageDraw, renderer: Renderer, angle: float) -> None:
        """A ring under the organs with letters of the body's sides, which rotate with the organs."""
        radius, low = _RING * renderer.radius_mm, -renderer.surface.half_height_mm
        left, _, _ = renderer.project((-radius, low, 0))
        right, _, _ = renderer.project((radius, low, 0))
        _, top, _ = renderer.project((0, low, -radius))
        _, bottom, _ = renderer.project((0, low, radius))
        box = (PANEL + left, _HEADER + top, PANEL + right, _HEADER + bottom)
        draw.ellipse(box, outline=_RING_COLOR, width=2)
        places = ((-radius, 0.0), (radius, 0.0), (0.0, radius), (0.0, -radius))
        for letter, (x, z) in zip(self._sides, places, strict=True):
            column, row, depth = renderer.project((x, low, z), angle)
            _, _, middle = renderer.project((0, low, 0), angle)
            nearness = 0.5 + 0.5 * (depth - middle) / radius  # letters at the back are fainter
            ink = (int(110 + 130 * nearness),) * 3
            point = (PANEL + column, _HEADER + row)
            draw.text(point, letter, font=self._large, fill=ink, anchor="mm", stroke_width=3, stroke_fill=_PAPER)


def _background() -> Image.Image:
    """Background of the 3D panel: dark, slightly lighter in the middle."""
    ends = np.linspace(-1, 1, PANEL)
    distance = np.clip(np.hypot(ends[:, None], ends[None, :]) / np.sqrt(2), 0, 1)
    gray = (_CENTER_GRAY + (_RIM_GRAY - _CENTER_GRAY) * distance).astype(np.uint8)
    return Image.fromarray(np.stack([gray, gray, gray], axis=-1))
