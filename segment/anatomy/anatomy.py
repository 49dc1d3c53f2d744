"""The configured anatomy: the usual size, brightness, side and position of each organ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segment.errors import UserError


@dataclass(frozen=True)
class Anatomy:
    """Plausible values, against which labels are checked.

    Attributes:
        volume_ml: Smallest and largest plausible volume of each organ. Only organs with an entry are checked and
            shown in pictures. Other organs that a data set annotates are read without checks.
        median_hu: Lowest and highest plausible median HU inside an organ. Organs without an entry are not checked.
        right: Organs with their centre on the patient's right.
        left: Organs with their centre on the patient's left.
        running_through: Organs that every scan cuts, for example the aorta. Neither their flat ends nor their heights
            are checked.
        centre_mm: Position of an organ's centre in mm as [right, front, up]. `right` is measured from the middle of
            the body, `front` and `up` from a point that is the same for all organs.
        spread_mm: Standard deviation of each of these three coordinates.

    Raises:
        UserError: When a range is not in rising order, a centre or the spread is not three numbers, or an organ is
            listed on both sides.
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
        both = sorted(set(self.right) & set(self.left))
        if both:
            msg = f"anatomy puts {', '.join(both)} on the right and on the left; keep one"
            raise UserError(msg)
