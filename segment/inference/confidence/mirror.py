"""Whether a CT looks better to the network when right and left are exchanged."""

from collections.abc import Collection, Sequence

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.sides import mirrored_classes
from segment.inference.confidence.body import Features
from segment.inference.confidence.evidence import Evidence
from segment.inference.confidence.place import NAN, volume_deviation

FARTHEST = 6.0  # standard deviations of a volume


def mirror_gain(evidence: Evidence, found: Collection[str], organs: Sequence[str], anatomy: Anatomy) -> Features:
    """How much better the mirrored CT looks, by organs without a partner on the other side such as the liver.

    A CT in which right and left are exchanged looks right to the network when it is mirrored. `mirror_sure` is the mean
    gain in the Dice that the network expects, `mirror_volume` the sum of the gains in the volumes' distance from the
    usual ones, in standard deviations, and `mirror_size` how much larger the largest of these organs is in the mirrored
    CT. NaN if one of the organs was not found, which would be no fair comparison.
    """
    moved, mirrored = evidence.looks.get("moved"), evidence.looks.get("mirrored")
    swapped = mirrored_classes(organs)
    single = [index for index in range(1, len(swapped)) if swapped[index] == index]
    usual_ml = {
        index: np.prod(anatomy.volume_ml[organs[index - 1]])
        for index in single
        if organs[index - 1] in anatomy.volume_ml
    }
    if moved is None or mirrored is None or not usual_ml or not all(organs[index - 1] in found for index in usual_ml):
        return dict.fromkeys(("mirror_sure", "mirror_volume", "mirror_size"), NAN)
    gain = 0.0
    for index in usual_ml:
        after, before = (
            _distance(organs[index - 1], n * evidence.voxel_ml, anatomy) for n in mirrored.volume[:, index]
        )
        gain += before - after
    largest = max(usual_ml, key=lambda index: usual_ml[index])
    return {
        "mirror_sure": float((mirrored.expected_dice - moved.expected_dice)[[*usual_ml]].mean()),
        "mirror_volume": gain,
        "mirror_size": float(mirrored.size[largest]),
    }


def _distance(organ: str, volume_ml: float, anatomy: Anatomy) -> float:
    """Distance of a volume from the usual one in standard deviations, at most `FARTHEST`, also for no volume."""
    return min(FARTHEST, abs(volume_deviation(organ, volume_ml, anatomy))) if volume_ml > 0 else FARTHEST
