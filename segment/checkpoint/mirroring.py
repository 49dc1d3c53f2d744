"""What checkpoints say about mirroring in their trainings."""

from collections.abc import Iterable, Mapping
from typing import Any

from segment.data.augment.mirror import RandomLeftRightFlip

Metadata = Mapping[str, Any]


def saw_mirrored(metadata: Metadata) -> bool:
    """Whether a training mirrored its CTs, as far as the metadata of its checkpoint say."""
    return RandomLeftRightFlip.__name__ in str(metadata.get("trained", {}))


def stated_pairs(checkpoints: Iterable[Metadata]) -> dict[str, str]:
    """The organ that each organ is in a mirrored CT, as far as trainings state it by their options for mirroring.

    For example, `pairs: [[ren_a, ren_b]]` and `single: [hígado]` give ren_a → ren_b, ren_b → ren_a, hígado → hígado.
    """
    stated: dict[str, str] = {}
    for metadata in checkpoints:
        trained = metadata.get("trained", {})  # values by dotted keys
        for key, target in trained.items():
            if key.endswith("_target_") and str(target).endswith(RandomLeftRightFlip.__name__):
                options = key.removesuffix("_target_")
                stated |= {organ: organ for organ in trained.get(f"{options}single", ())}
                for one, other in trained.get(f"{options}pairs", ()):
                    stated |= {one: other, other: one}
    return stated
