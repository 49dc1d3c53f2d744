"""The size of a body, by which the places of a child's organs become those of an adult."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place

SCALE = (0.3, 1.3)  # of a usual adult: from a newborn, 0.5 m long, to 2.2 m


def body_scale(structures: Sequence[Place], names: Sequence[str], anatomy: Anatomy) -> float:
    """Length in this body of what is 1 long in a usual adult, within `SCALE`: by the organs' volumes.

    It is the cube root of the median, over organs, of measured to usual volume; the usual one is the geometric middle
    of the plausible range. One diseased organ, or two that have each other's names, hardly change the median.

    Args:
        structures: Places in one case.
        names: Name of every structure.
        anatomy: The facts.

    Returns:
        1 if no volume counts: structures at the scan's faces may be cut.
    """
    larger = [
        np.log(place.volume_ml) - np.log(anatomy.volume_ml[name]).mean()
        for place, name in zip(structures, names, strict=True)
        if name in anatomy.volume_ml and not place.faces
    ]
    return float(np.clip(np.exp(np.median(larger) / 3), *SCALE)) if larger else 1.0


def at_adult_size(structures: Sequence[Place], names: Sequence[str], anatomy: Anatomy) -> list[Place]:
    """The structures as they would lie and measure in an adult; arguments as in `body_scale`."""
    scale = body_scale(structures, names, anatomy)
    return [
        replace(
            place,
            volume_ml=place.volume_ml / scale**3,
            right_mm=place.right_mm / scale,
            front_mm=place.front_mm / scale,
            up_mm=place.up_mm / scale,
        )
        for place in structures
    ]
