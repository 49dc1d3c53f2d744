"""The size of a body, used to compare a child's organs with an adult's."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.structure import Structure

SCALE = (0.3, 1.3)  # relative to an average adult: from a newborn of 0.5 m to 2.2 m


def body_scale(structures: Sequence[Structure], names: Sequence[str], anatomy: Anatomy) -> float:
    """Estimate the length of a body relative to an average adult from the volumes of its organs.

    The scale is the cube root of the median ratio of measured to usual volume, where the usual volume is the geometric
    mean of the plausible range. One diseased organ, or two organs with swapped names, hardly change the median.

    Args:
        structures: Structures of one case.
        names: Name of every structure.
        anatomy: The configured anatomy.

    Returns:
        A factor within `SCALE`, for example 0.5 for a child of half an adult's height. 1 if no structure can be
        used: those that touch a face of the scan may be cut.
    """
    log_ratios = []
    for structure, name in zip(structures, names, strict=True):
        if name in anatomy.volume_ml and not structure.faces:
            log_ratios.append(np.log(structure.volume_ml) - np.log(anatomy.volume_ml[name]).mean())
    if not log_ratios:
        return 1.0
    return float(np.clip(np.exp(np.median(log_ratios) / 3), *SCALE))


def at_adult_size(structures: Sequence[Structure], names: Sequence[str], anatomy: Anatomy) -> list[Structure]:
    """Scale structures to the size of an average adult; arguments as in `body_scale`."""
    scale = body_scale(structures, names, anatomy)
    return [
        replace(
            structure,
            volume_ml=structure.volume_ml / scale**3,
            right_mm=structure.right_mm / scale,
            front_mm=structure.front_mm / scale,
            up_mm=structure.up_mm / scale,
        )
        for structure in structures
    ]
