"""Choose some organs of a mask."""

from collections.abc import Mapping, Sequence

import numpy as np

from segment.configuration.nearest import nearest_word
from segment.errors import UserError


def organ_numbers(organs: Sequence[str], chosen: Sequence[str] | None) -> dict[str, int]:
    """Value in the mask of every chosen organ, in the order of the checkpoint. The values do not depend on the choice.

    Args:
        organs: Organs of the checkpoint; class i is organs[i-1].
        chosen: Names of some of them; None chooses all.

    Raises:
        UserError: When no organ is chosen, or the checkpoint does not segment one.
    """
    numbers = {organ: index for index, organ in enumerate(organs, start=1)}
    if chosen is None:
        return numbers
    if not chosen:
        msg = f"organs=[] chooses no organ; choose some of {', '.join(organs)}, or leave the option out"
        raise UserError(msg)
    for name in chosen:
        if name not in numbers:
            near = nearest_word(name, organs)
            remedy = f"did you mean {near}?" if near else f"choose some of {', '.join(organs)}"
            msg = f"the checkpoint does not segment {name!r}; {remedy}"
            raise UserError(msg)
    return {organ: number for organ, number in numbers.items() if organ in chosen}


def keep_organs(mask: np.ndarray, numbers: Mapping[str, int]) -> np.ndarray:
    """Turn the organs that are not in `numbers` into background, in place.

    Only their voxels are written: what is never written of a large mask takes no memory.

    Args:
        mask: Class indices (I,J,K), uint8.
        numbers: Class of every organ to keep.

    Returns:
        The mask.
    """
    dropped = np.ones(256, bool)
    dropped[[0, *numbers.values()]] = False
    for plane in mask:
        plane[dropped[plane]] = 0
    return mask
