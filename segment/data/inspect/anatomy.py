"""What is known of the organs, all of it from configuration: how large, how bright, on which side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segment.errors import UserError


@dataclass(frozen=True)
class Anatomy:
    """Facts that labels are held against.

    Attributes:
        volume_ml: Smallest and largest plausible volume of each organ. These organs are judged and drawn; others that
            a data set annotates are only read.
        median_hu: Lowest and highest plausible median HU inside an organ; organs without an entry may hold anything.
        right: Organs whose centre lies on the patient's right.
        left: Organs whose centre lies on the patient's left.
        running_through: Vessels and the like that every scan cuts, and whose ends are flat: neither says anything.

    Raises:
        UserError: When a range does not go from low to high, or an organ is to lie on both sides.
    """

    volume_ml: Mapping[str, Sequence[float]]
    median_hu: Mapping[str, Sequence[float]]
    right: Sequence[str]
    left: Sequence[str]
    running_through: Sequence[str]

    def __post_init__(self) -> None:
        for option in ("volume_ml", "median_hu"):
            for organ, ends in getattr(self, option).items():
                if len(ends) != 2 or not ends[0] < ends[1]:
                    msg = f"anatomy.{option}.{organ} must be [lowest, highest], got {ends}"
                    raise UserError(msg)
        if both := sorted(set(self.right) & set(self.left)):
            msg = f"anatomy puts {', '.join(both)} on the right and on the left; keep one"
            raise UserError(msg)
