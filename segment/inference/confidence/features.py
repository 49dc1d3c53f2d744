"""The features of a predicted organ, from which its Dice is predicted and its reasons are taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.boxes import organ_boxes
from segment.anatomy.structure import Structure, measure_structures
from segment.inference.confidence.body import Features, measure_body
from segment.inference.confidence.evidence import Evidence
from segment.inference.confidence.mirror import mirror_gain
from segment.inference.confidence.place import NAN, in_view, oddest, place_deviation, volume_deviation
from segment.io.scan import Scan

SAMPLED = 48  # voxels along each axis of an organ's box in which its pieces are counted
# Of one organ. `measure_body` adds those of the CT.
OF_ORGAN = (
    "expected_dice",
    "doubtful",
    "other_organ",
    "moved",
    "moved_size",
    "mirrored",
    "mirrored_size",
    "kept",
    "volume",
    "side_mm",
    "right",
    "front",
    "up",
    "cut",
    "cut_aside",
    "hu",
    "hu_to_others",
    "largest_piece",
    "fill",
    "organs",
    "others_expected",
    "others_moved",
    "others_volume",
    "others_place",
    "missing",
    "mirrored_sure",
    "mirror_sure",
    "mirror_volume",
    "mirror_size",
)


@dataclass(frozen=True)
class Findings:
    """What a mask is judged by.

    Attributes:
        features: For each organ that the mask has, the numbers of `OF_ORGAN` and `measure_body`. NaN if one cannot be
            measured.
        in_view: For each organ that the mask does not have, whether its usual place relative to the others is inside
            the scan; None if it is not known.
    """

    features: Mapping[str, Mapping[str, float]]
    in_view: Mapping[str, bool | None]


def measure_features(
    scan: Scan, mask: np.ndarray, evidence: Evidence, organs: Sequence[str], anatomy: Anatomy
) -> Findings:
    """Measure what a mask is judged by.

    Args:
        scan: The CT.
        mask: (I,J,K) class indices on its grid, after the post-processing.
        evidence: What the network says.
        organs: Class i is organs[i-1].
        anatomy: Usual volumes, sides and positions. Without an entry, the features of an organ are NaN.
    """
    structures = {organs[index - 1]: one for index, one in measure_structures(scan, mask).items()}
    boxes = organ_boxes(mask, len(organs))
    views = {organ: in_view(organ, structures, scan, anatomy) for organ in organs if organ not in structures}
    missing = {"missing": float(sum(map(bool, views.values())))}
    of_case = measure_body(scan) | mirror_gain(evidence, structures, organs, anatomy) | missing
    result = {}
    for index, organ in enumerate(organs, start=1):
        box = boxes[index - 1]
        if organ not in structures or box is None:
            continue
        own = _from_network(evidence, index, structures[organ].volume_ml)
        others = {name: one for name, one in structures.items() if name != organ}
        result[organ] = (
            own
            | _from_structure(organ, structures[organ], others, anatomy)
            | _shape(mask[box] == index)
            | _others(evidence, [organs.index(name) + 1 for name in others])
            | oddest(others, anatomy)
            | of_case
        )
    return Findings(result, views)


def _from_network(evidence: Evidence, index: int, volume_ml: float) -> Features:
    voxels_ml = evidence.voxels[index] * evidence.voxel_ml
    looks = {}
    for name in ("moved", "mirrored"):
        look = evidence.looks.get(name)
        looks[name] = float(look.agreement[index]) if look else NAN
        looks[f"{name}_size"] = float(look.size[index]) if look else NAN
    mirrored = evidence.looks.get("mirrored")
    return {
        "expected_dice": float(evidence.expected_dice[index]),
        "doubtful": float(evidence.doubtful[index]),
        "other_organ": float(evidence.other_organ[index]),
        **looks,
        "mirrored_sure": float(mirrored.expected_dice[index]) if mirrored else NAN,
        # Share of the network's mask that the post-processing left.
        "kept": min(float(volume_ml / voxels_ml), 2.0) if voxels_ml else NAN,
    }


def _from_structure(organ: str, own: Structure, others: Mapping[str, Structure], anatomy: Anatomy) -> Features:
    """Volume and position in standard deviations, side in mm, ends of the scan, HU."""
    side = 1.0 if organ in anatomy.right else -1.0 if organ in anatomy.left else NAN
    hu = NAN if own.median_hu is None else own.median_hu
    of_others = [one.median_hu for one in others.values() if one.median_hu is not None]
    return {
        "volume": volume_deviation(organ, own.volume_ml, anatomy),
        "side_mm": NAN if own.off_middle else side * own.right_mm,
        **place_deviation(organ, own, others, anatomy),
        "cut": float(len(set(own.faces) & set("SI"))),
        "cut_aside": float(len(set(own.faces) - set("SI"))),
        "hu": hu,
        "hu_to_others": hu - float(np.median(of_others)) if of_others else NAN,
        "organs": float(1 + len(others)),
    }


def _shape(inside: np.ndarray) -> Features:
    """Share of the largest piece, and share of the organ's box that it fills, from a sample of its voxels."""
    sampled = inside[tuple(slice(None, None, -(-n // SAMPLED)) for n in inside.shape)]
    if not sampled.any():
        return {"largest_piece": NAN, "fill": NAN}
    pieces, _ = ndimage.label(sampled, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    return {"largest_piece": float(sizes.max() / sizes.sum()), "fill": float(sampled.mean())}


def _others(evidence: Evidence, indices: Sequence[int]) -> Features:
    """The lowest expected Dice and agreement of the other organs."""
    moved = evidence.looks.get("moved")
    agreements = moved.agreement[list(indices)] if moved else np.full(len(indices), NAN)
    known = agreements[~np.isnan(agreements)]
    expected = evidence.expected_dice[list(indices)]
    expected = expected[~np.isnan(expected)]
    return {
        "others_expected": float(expected.min()) if expected.size else NAN,
        "others_moved": float(known.min()) if known.size else NAN,
    }
