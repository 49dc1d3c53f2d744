"""Left and right: which organs lie on the wrong side of the body, and what was probably mixed up."""

from collections.abc import Iterator, Mapping

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place
from segment.doctor.finding import Finding

# An organ's centre is on the wrong side when it is this far beyond the middle of the body: shifts of the middle by a
# table, an arm or an off-centre field stay below. The adrenals, the innermost of paired organs, lie 30 mm off it.
MARGIN_MM = 10.0


def check_sides(case: str, places: Mapping[str, Place], anatomy: Anatomy) -> Iterator[Finding]:
    """Hold the organs' centres against the middle of the body and against one another.

    Args:
        case: The case's id.
        places: Place of every organ that the case shows.
        anatomy: Which organs lie on which side.
    """
    inward = {organ: place.right_mm for organ, place in places.items() if organ in anatomy.right}
    inward |= {organ: -place.right_mm for organ, place in places.items() if organ in anatomy.left}
    wrong = [organ for organ, mm in inward.items() if mm < -MARGIN_MM and not places[organ].off_middle]
    if not wrong:
        # Off-centre fields move the middle; the order of two organs stays.
        wrong = _out_of_order(inward, anatomy)
    if not wrong:
        return
    names = ", ".join(wrong)
    right, left = ([organ for organ in wrong if organ in side] for side in (anatomy.right, anatomy.left))
    if len(wrong) == len(inward) and len(wrong) > 2:
        what = f"all of {names} lie on the wrong side: image or label is mirrored, or the affine has the wrong sign"
        remedy = "negate the affine's first row in image and label if contours fit organs and the heart lies right, too"
        yield Finding(case, "mirrored", "error", what, remedy)
    elif len(wrong) == len(inward) and len(wrong) == 2:
        what = f"{names} lie on the wrong sides: their labels are swapped, or the image is mirrored"
        remedy = "look at the case: swap the two codes if the liver is on the right, else correct the affine"
        yield Finding(case, "sides", "error", what, remedy)
    elif right and left:
        what = f"{names} lie on the wrong side, other organs do not: their labels are swapped"
        yield Finding(case, "swapped labels", "error", what, "swap these organs' codes in the label file")
    else:
        what = f"{names} lies {-min(inward[organ] for organ in wrong):.0f} mm on the wrong side of the body's middle"
        # A kidney that was transplanted or has crossed may lie there; in most cases it is an error (`shared`).
        yield Finding(case, "sides", "warning", what, "look at the case, and correct the code or the label")


def _out_of_order(away: Mapping[str, float], anatomy: Anatomy) -> list[str]:
    """The pair of a right and a left organ that is out of order by most, if any."""
    pairs = [
        (away[r] + away[left], [r, left]) for r in anatomy.right for left in anatomy.left if {r, left} <= set(away)
    ]
    distance, pair = min(pairs, default=(0.0, []))
    return pair if distance < -MARGIN_MM else []
