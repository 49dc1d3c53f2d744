"""Left and right: which organs lie on the wrong side of the body, and what was probably mixed up."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from nibabel.affines import apply_affine

from segment.data.inspect.anatomy import Anatomy
from segment.data.inspect.boxes import organ_boxes
from segment.data.inspect.finding import Finding
from segment.data.midline import midline_mm
from segment.data.readers.scan import Scan

# An organ's centre is on the wrong side when it is this far beyond the middle of the body: shifts of the middle by a
# table, an arm or an off-centre field stay below. The adrenals, the innermost of paired organs, lie 30 mm off it.
MARGIN_MM = 10.0


def check_sides(
    case: str, scan: Scan, classes: np.ndarray, organs: Sequence[str], anatomy: Anatomy
) -> Iterator[Finding]:
    """Hold the organs' centres against the middle of the body and against one another.

    Args:
        case: The case's id.
        scan: The CT.
        classes: (I,J,K) class indices.
        organs: Class i is organs[i-1].
        anatomy: Which organs lie on which side.
    """
    to_right = _towards_own_side(scan, classes, organs, anatomy)
    wrong = [organ for organ, mm in to_right.items() if mm < -MARGIN_MM]
    if not wrong:
        # Off-centre fields move the middle; the order of two organs stays.
        wrong = _out_of_order(to_right, anatomy)
    if not wrong:
        return
    names = ", ".join(wrong)
    right, left = ([organ for organ in wrong if organ in side] for side in (anatomy.right, anatomy.left))
    if len(wrong) == len(to_right) and len(wrong) > 2:
        what = f"all of {names} lie on the wrong side: image or label is mirrored, or the affine has the wrong sign"
        remedy = "negate the affine's first row in image and label if contours fit organs and the heart lies right, too"
        yield Finding(case, "mirrored", "error", what, remedy)
    elif len(wrong) == len(to_right) and len(wrong) == 2:
        what = f"{names} lie on the wrong sides: their labels are swapped, or the image is mirrored"
        remedy = "look at the case: swap the two codes if the liver is on the right, else mend the affine"
        yield Finding(case, "sides", "error", what, remedy)
    elif right and left:
        what = f"{names} lie on the wrong side, other organs do not: their labels are swapped"
        yield Finding(case, "swapped labels", "error", what, "swap these organs' codes in the label file")
    else:
        what = f"{names} lies {-min(to_right[organ] for organ in wrong):.0f} mm on the wrong side of the body's middle"
        yield Finding(case, "sides", "error", what, "look at the case, and correct the code or the label")


def _towards_own_side(scan: Scan, classes: np.ndarray, organs: Sequence[str], anatomy: Anatomy) -> dict[str, float]:
    """How far each organ's centre lies from the body's middle, in mm, on the side where it should be."""
    few, affine = _sampled(classes, scan.affine, 200)  # adrenals are not lost in so many voxels along an axis
    middle = midline_mm(*_sampled(scan.data, scan.affine, 60))
    away: dict[str, float] = {}
    for index, box in enumerate(organ_boxes(few, len(organs)), start=1):
        organ = organs[index - 1]
        if box is not None and organ in (*anatomy.right, *anatomy.left):
            center = np.argwhere(few[box] == index).mean(axis=0) + [part.start for part in box]
            to_right = float(apply_affine(affine, center)[0]) - middle
            away[organ] = to_right if organ in anatomy.right else -to_right
    return away


def _out_of_order(away: Mapping[str, float], anatomy: Anatomy) -> list[str]:
    """The pair of a right and a left organ that is out of order by most, if any."""
    pairs = [
        (away[r] + away[left], [r, left]) for r in anatomy.right for left in anatomy.left if {r, left} <= set(away)
    ]
    distance, pair = min(pairs, default=(0.0, []))
    return pair if distance < -MARGIN_MM else []


def _sampled(volume: np.ndarray, affine: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Every so many voxels, at most so many along an axis, and the affine of what is left."""
    steps = [-(-n // most) for n in volume.shape]
    return volume[tuple(slice(None, None, step) for step in steps)], affine @ np.diag([*steps, 1.0])
