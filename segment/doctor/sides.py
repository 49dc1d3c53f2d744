"""Check left and right: which organs are on the wrong side of the body, and what was probably mixed up."""

from collections.abc import Iterator, Mapping

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.structure import Structure
from segment.doctor.finding import Finding

# An organ is on the wrong side if its centre is this far beyond the middle of the body. A table, an arm or an
# off-centre field of view shifts the middle by less. The adrenals, the innermost paired organs, are 30 mm from it.
MARGIN_MM = 10.0


def check_sides(case: str, structures: Mapping[str, Structure], anatomy: Anatomy) -> Iterator[Finding]:
    """Compare the organs' centres with the middle of the body and with one another.

    Args:
        case: The case's id.
        structures: The measured structure of every organ in the case.
        anatomy: States which organs belong on which side.
    """
    # Distance from the middle of the body towards the organ's own side. Negative: on the wrong side.
    outward_mm: dict[str, float] = {}
    for organ, structure in structures.items():
        if organ in anatomy.right:
            outward_mm[organ] = structure.right_mm
    for organ, structure in structures.items():
        if organ in anatomy.left:
            outward_mm[organ] = -structure.right_mm
    wrong = [organ for organ, mm in outward_mm.items() if mm < -MARGIN_MM and not structures[organ].off_middle]
    if not wrong:
        # An off-centre field moves the middle, but not the order of two organs. One that the scan cuts at its outer
        # side extends further out than is known: the tip of a liver may lie to the left of the left kidney.
        known = [organ for organ in outward_mm if not _is_cut_outside(structures[organ], organ, anatomy)]
        wrong = _out_of_order({organ: outward_mm[organ] for organ in known}, anatomy)
    if not wrong:
        return
    names = ", ".join(wrong)
    is_right = [organ in anatomy.right for organ in wrong]
    if len(wrong) == len(outward_mm) and len(wrong) > 2:
        what = f"all of {names} lie on the wrong side: image or label is mirrored, or the affine has the wrong sign"
        remedy = (
            "negate the affine's first row in image and label, if contours fit the organs and the heart is on the "
            "right, too"
        )
        yield Finding(case, "mirrored", "error", what, remedy)
    elif len(wrong) == len(outward_mm) and len(wrong) == 2:
        what = f"{names} lie on the wrong sides: their labels are swapped, or the image is mirrored"
        remedy = "look at the case: swap the two codes if the liver is on the right, else correct the affine"
        yield Finding(case, "sides", "error", what, remedy)
    elif any(is_right) and not all(is_right):
        what = f"{names} lie on the wrong side, other organs do not: their labels are swapped"
        yield Finding(case, "swapped labels", "error", what, "swap these organs' codes in the label file")
    else:
        beyond_mm = -min(outward_mm[organ] for organ in wrong)
        what = f"{names} lies {beyond_mm:.0f} mm on the wrong side of the body's middle"
        # A transplanted or crossed kidney may be there. In most cases of a source it is an error; see `merge_shared`.
        yield Finding(case, "sides", "warning", what, "look at the case, and correct the code or the label")


def _is_cut_outside(structure: Structure, organ: str, anatomy: Anatomy) -> bool:
    return ("R" if organ in anatomy.right else "L") in structure.faces


def _out_of_order(outward_mm: Mapping[str, float], anatomy: Anatomy) -> list[str]:
    """Return the right and the left organ whose order is wrong by the largest distance, or an empty list."""
    pairs: list[tuple[float, list[str]]] = []
    for right in anatomy.right:
        for left in anatomy.left:
            if right in outward_mm and left in outward_mm:
                pairs.append((outward_mm[right] + outward_mm[left], [right, left]))
    distance, pair = min(pairs, default=(0.0, []))
    return pair if distance < -MARGIN_MM else []
