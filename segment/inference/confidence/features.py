"""The features of a predicted organ, from which its Dice is predicted and its reasons are taken."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.boxes import organ_boxes
from segment.anatomy.fit import WIDTH
from segment.anatomy.structure import Structure, measure_structures
from segment.inference.confidence.body import Features, measure_body
from segment.inference.confidence.evidence import Evidence
from segment.inference.confidence.second_look import mirrored_classes
from segment.io.scan import Scan

NAN = float("nan")
FARTHEST = 6.0  # standard deviations of a volume
MARGIN_MM = 20.0  # between the end of a scan and the middle of an organ that it shows
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
    in_view = {organ: _in_view(organ, structures, scan, anatomy) for organ in organs if organ not in structures}
    missing = {"missing": float(sum(map(bool, in_view.values())))}
    of_case = measure_body(scan) | _mirror_gain(evidence, structures, organs, anatomy) | missing
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
            | _oddest(others, anatomy)
            | of_case
        )
    return Findings(result, in_view)


def _in_view(organ: str, found: Mapping[str, Structure], scan: Scan, anatomy: Anatomy) -> bool | None:
    """Whether the height at which an organ is expected, given the others, is inside a scan."""
    heights = [_offset(name, one, anatomy)[2] for name, one in found.items() if name in anatomy.centre_mm]
    if organ not in anatomy.centre_mm or not heights:
        return None
    up_mm = anatomy.centre_mm[organ][2] + float(np.median(heights))
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in scan.data.shape))))
    ends = apply_affine(scan.affine, corners)[:, 2]
    return bool(ends.min() + MARGIN_MM <= up_mm <= ends.max() - MARGIN_MM)


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


def volume_deviation(organ: str, volume_ml: float, anatomy: Anatomy) -> float:
    """Volume on a logarithmic scale, in standard deviations from the middle of the plausible range; ±2 are its ends."""
    if organ not in anatomy.volume_ml:
        return NAN
    low, high = np.log(anatomy.volume_ml[organ])
    return float((np.log(volume_ml) - (low + high) / 2) * WIDTH / (high - low))


def place_deviation(organ: str, own: Structure, others: Mapping[str, Structure], anatomy: Anatomy) -> Features:
    """Position relative to the other organs, in standard deviations to the right, front and up; NaN without others.

    To the right it is that relative to the midline of the body, unless the scan shows only a part of its width.
    """
    if organ not in anatomy.centre_mm:
        return {"right": NAN, "front": NAN, "up": NAN}
    offsets = [_offset(name, one, anatomy) for name, one in others.items() if name in anatomy.centre_mm]
    shift = np.median(offsets, axis=0) if offsets else np.full(3, NAN)
    if not own.off_middle:
        shift[0] = 0
    right, front, up = (_offset(organ, own, anatomy) - shift) / np.array(anatomy.spread_mm)
    return {"right": float(right), "front": float(front), "up": float(up)}


def _offset(organ: str, structure: Structure, anatomy: Anatomy) -> np.ndarray:
    """Measured minus usual position, (3,) in mm."""
    measured = np.array([structure.right_mm, structure.front_mm, structure.up_mm])
    return np.asarray(measured - np.array(anatomy.centre_mm[organ], float))


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


def _oddest(others: Mapping[str, Structure], anatomy: Anatomy) -> Features:
    """The largest deviation of the volume and of the place of the other organs, in standard deviations."""
    volumes, places = [0.0], [0.0]
    for name, one in others.items():
        rest = {other: structure for other, structure in others.items() if other != name}
        if not one.faces:
            volumes.append(abs(volume_deviation(name, one.volume_ml, anatomy)))
        places += map(abs, place_deviation(name, one, rest, anatomy).values())
    return {"others_volume": float(np.nanmax(volumes)), "others_place": float(np.nanmax(places))}


def _mirror_gain(evidence: Evidence, found: Collection[str], organs: Sequence[str], anatomy: Anatomy) -> Features:
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
