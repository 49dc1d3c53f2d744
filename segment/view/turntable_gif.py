"""A small animation of the turning organs, for READMEs and talks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segment.files import atomic_write

_COLORS = 256  # one palette for all frames, so that the background does not flicker
_SAMPLED = 8  # frames from which the palette is chosen
_FRAME_MS = 100


def write_gif(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write a GIF that repeats; after an error, `path` is unchanged.

    Args:
        path: The file.
        frames: RGB pictures of one size, uint8; at least one.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    # An octree covers all colours. A median cut would spend the palette on the background and the largest organ.
    chosen = frames[:: max(1, len(frames) // _SAMPLED)]
    palette = Image.fromarray(np.concatenate(chosen)).quantize(_COLORS, Image.Quantize.FASTOCTREE)
    # Without dithering, equal areas stay equal from frame to frame and take no space.
    first, *others = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    with atomic_write(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=_FRAME_MS, loop=0, optimize=True)
