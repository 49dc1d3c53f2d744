"""Which organs are on one side of the body, by their names, and which is which in the mirror image of a CT."""

import re
from collections.abc import Sequence

OTHER_SIDE = {"right": "left", "left": "right", "r": "l", "l": "r"}
SIDE = re.compile(r"right|left|(?<![^\W_])[rl](?![^\W_])")  # a single letter only as a word of its own: kidney_r


def has_side(organ: str) -> bool:
    """Whether a name has a side: right_kidney, Kidney Left, kidney_r."""
    return SIDE.search(organ.lower()) is not None


def mirrored_classes(organs: Sequence[str]) -> list[int]:
    """The class that each class becomes in a mirrored CT, background first: right_kidney and left_kidney swap.

    So do kidney_r and kidney_l. An organ whose name has a side, and whose partner is not among the organs, becomes
    background.
    """
    index = {organ.lower(): number for number, organ in enumerate(organs, start=1)}
    return [0, *(index.get(_partner(organ), 0) for organ in organs)]


def _partner(organ: str) -> str:
    """The name in small letters of the organ on the other side; its own name if it has no side."""
    return SIDE.sub(lambda side: OTHER_SIDE[side[0]], organ.lower())
