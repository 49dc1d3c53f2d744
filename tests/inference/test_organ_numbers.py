import numpy as np
import pytest

from segment.inference.outputs.organ_numbers import keep_organs


@pytest.mark.parametrize("order", ["C", "F"])
def test_other_organs_become_background_in_the_mask_itself(order):
    classes = np.random.default_rng(0).integers(0, 5, (6, 5, 4))
    mask = np.array(classes, np.uint8, order=order)
    kept = keep_organs(mask, {"liver": 4, "spleen": 2})
    assert kept is mask
    assert np.array_equal(mask, np.where(np.isin(classes, [2, 4]), classes, 0))
