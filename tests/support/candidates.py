"""CTs without label as a checkpoint might see them, made by hand."""

import base64
import io

from PIL import Image

from segment.curve.candidate import Candidate, Organ


def picture():
    """A black picture of the size of a thumbnail: WebP in base64."""
    file = io.BytesIO()
    Image.new("RGB", (600, 236)).save(file, "WEBP")
    return base64.b64encode(file.getvalue()).decode()


def organ(dice, is_missing=False, color="green", reasons=()):
    return Organ(dice, is_missing, color, tuple(reasons))


def candidate(noise, **organs):
    """A CT that is described by its noise alone, on the scale of `OF_CT`: a unit is half a factor of two.

    Args:
        noise: In units.
        organs: Predicted Dice of each organ, or the organ.
    """
    found = {name: one if isinstance(one, Organ) else organ(one) for name, one in organs.items()}
    return Candidate(f"voxels {noise}", found, {"noise": noise / 2}, picture())
