"""What is known of the organs, all of it from configuration: how large, how bright, on which side, and where."""

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
        centre_mm: Where an organ's centre lies, in mm: to the right of the body's middle, and to the front of and
            above a point that is the same for all organs.
        spread_mm: Standard deviation of these three.

    Raises:
        UserError: When a range does not go from low to high, a centre or the spread is not three numbers, or an organ
            is to lie on both sides.
    """

    volume_ml: Mapping[str, Sequence[float]]
    median_hu: Mapping[str, Sequence[float]]
    right: Sequence[str]
    left: Sequence[str]
    running_through: Sequence[str]
    centre_mm: Mapping[str, Sequence[float]]
    spread_mm: Sequence[float]

    def __post_init__(self) -> None:
        for option in ("volume_ml", "median_hu"):
            for organ, ends in getattr(self, option).items():
                if len(ends) != 2 or not ends[0] < ends[1]:
                    msg = f"anatomy.{option}.{organ} must be [lowest, highest], got {ends}"
                    raise UserError(msg)
        for organ, centre in self.centre_mm.items():
            if len(centre) != 3:
                msg = f"anatomy.centre_mm.{organ} must be [right, front, up], got {centre}"
                raise UserError(msg)
        if len(self.spread_mm) != 3 or min(self.spread_mm) <= 0:
            msg = f"anatomy.spread_mm must be three positive numbers, got {self.spread_mm}"
            raise UserError(msg)
        if both := sorted(set(self.right) & set(self.left)):
            msg = f"anatomy puts {', '.join(both)} on the right and on the left; keep one"
            raise UserError(msg)
