"""Correction for many tests."""

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values: of families whose corrected ones are compared with alpha, at most alpha err at all.

    Step-down method of Holm (1979), Scandinavian Journal of Statistics 6:65: the smallest of m is multiplied by m, the
    next by m-1 and so on; none becomes smaller than the one before or greater than 1.

    Args:
        p_values: In any order; NaN stands for a test that could not be made, and is not counted.

    Returns:
        In the same order; NaN stays.
    """
    made = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(made):
        largest = max(largest, min(1.0, p * (len(made) - rank)))
        corrected[index] = largest
    return corrected
