"""What checkpoints say about mirroring in their trainings."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from segment.data.augment.mirror import RandomLeftRightFlip

Metadata = Mapping[str, Any]


def saw_mirrored(metadata: Metadata) -> bool:
    """Whether a training mirrored its CTs, as far as the metadata of its checkpoint say; with p=0 it did not."""
    return any(options.get("p", 0.5) > 0 for options in _mirroring(metadata))


def stated_pairs(checkpoints: Iterable[Metadata]) -> dict[str, str]:
    """The organ that each organ is in a mirrored CT, as far as trainings state it by their options for mirroring.

    For example, `pairs: [[ren_a, ren_b]]` and `single: [hígado]` give ren_a → ren_b, ren_b → ren_a, hígado → hígado.
    """
    stated: dict[str, str] = {}
    for metadata in checkpoints:
        for options in _mirroring(metadata):
            stated |= {organ: organ for organ in options.get("single", ())}
            for one, other in options.get("pairs", ()):
                stated |= {one: other, other: one}
    return stated


def _mirroring(metadata: Metadata) -> Iterator[Mapping[str, Any]]:
    """The options of every mirroring in the augmentation of a training."""
    trained = metadata.get("trained", {})  # values by dotted keys
    for key, target in trained.items():
        if key.endswith("_target_") and str(target).endswith(RandomLeftRightFlip.__name__):
            node = key.removesuffix("_target_")
            yield {name: trained[f"{node}{name}"] for name in ("p", "single", "pairs") if f"{node}{name}" in trained}
