"""The reasons to doubt an organ, in words. Each starts with its kind."""

from collections.abc import Iterator, Mapping

from segment.anatomy.anatomy import Anatomy

FAR = 3.5  # standard deviations of a position
LEAST_AGREEMENT, LEAST_EXPECTED, LEAST_KEPT = 0.8, 0.88, 0.8
# `mirror_sure`, `mirror_volume` and `mirror_size` of a CT in which right and left are exchanged. Of 236 other masks of
# synthetic CTs, one is above all three.
SURER, LIKELIER, LARGER = 0.0, 0.3, 1.2
# Features of the CT that are compared with the calibration's sound cases: what they are, and the unit.
IN_WORDS = {
    "fat_hu": ("fat", "HU"),
    "soft_hu": ("soft tissue", "HU"),
    "noise_hu": ("noise", "HU"),
    "edge_hu": ("steps between neighbours", "HU"),
    "width_mm": ("a body width", "mm"),
    "depth_mm": ("a body depth", "mm"),
    "area_cm2": ("a cross-section", "cm²"),
    "thickness_mm": ("voxels", "mm"),
}
AXES = {"right": ("right", "left"), "front": ("front", "back"), "up": ("head", "feet")}


def organ_reasons(organ: str, features: Mapping[str, float], anatomy: Anatomy) -> list[str]:
    """Reasons that need no calibration, beside those of `organ_flags`."""
    return [*_side(organ, features, anatomy), *_place(features, anatomy), *_network(features)]


def ct_reasons(features: Mapping[str, float], usual: Mapping[str, tuple[float, float]]) -> list[str]:
    """What is unlike the sound cases of the calibration.

    Args:
        features: Those of any organ of the CT.
        usual: Ranges by the names of features; without one, there is no reason.
    """
    reasons = []
    for name, (words, unit) in IN_WORDS.items():
        value, ends = features[name], usual.get(name)
        if ends is not None and (value < ends[0] or value > ends[1]):
            reasons.append(f"input: {words} of {value:.3g} {unit}, usual are {ends[0]:.3g} to {ends[1]:.3g}")
    return reasons


def _side(organ: str, features: Mapping[str, float], anatomy: Anatomy) -> Iterator[str]:
    # The middle of a body that the scan cuts at its side is not the midline, and such an organ shows that it does.
    if features["side_mm"] < 0 and not features["cut_aside"]:
        side, other = ("right", "left") if organ in anatomy.right else ("left", "right")
        yield f"side: its centre is {-features['side_mm']:.0f} mm to the {other} of the midline, usual is the {side}"
    gains = ((features["mirror_sure"], SURER), (features["mirror_volume"], LIKELIER), (features["mirror_size"], LARGER))
    if all(gain > least for gain, least in gains):
        yield "side: the organs fit the mirrored CT better; right and left may be exchanged in the file"


def _place(features: Mapping[str, float], anatomy: Anatomy) -> Iterator[str]:
    for (name, words), spread in zip(AXES.items(), anatomy.spread_mm, strict=True):
        deviation = features[name]
        # The visible part of an organ that the scan cuts lies elsewhere than its centre.
        if abs(deviation) > FAR and not (name == "up" and features["cut"]):
            direction = words[0] if deviation > 0 else words[1]
            yield f"place: {abs(deviation) * spread:.0f} mm to the {direction} of where the other organs suggest it"


def _network(features: Mapping[str, float]) -> Iterator[str]:
    if features["moved"] < LEAST_AGREEMENT:
        yield f"agreement: Dice {features['moved']:.2f} with a second look in other windows"
    if features["expected_dice"] < LEAST_EXPECTED:
        yield f"doubt: by its own probabilities, the network expects a Dice of {features['expected_dice']:.2f}"
    if features["kept"] < LEAST_KEPT:
        yield f"cleaned: the post-processing removed {1 - features['kept']:.0%} of it"
