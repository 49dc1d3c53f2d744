"""A constructor refuses values outside the range of its annotations."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from segment.bounds import PositiveInt, Share, Voxels, in_range
from segment.errors import UserError


class Patches:
    @in_range
    def __init__(self, size: Voxels, share: Share = 0.5, number: PositiveInt | None = None, name: str = "x") -> None:
        self.given = (size, share, number, name)


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": (1, 2, 3)},
        {"size": [1, 2, 3], "share": 1, "number": None, "name": 3},  # a parameter without a range is not checked
        {"size": np.array([1, 2, 3]), "share": np.float32(0.25), "number": np.int64(4)},
        {"size": OmegaConf.create([1, 2, 3])},
    ],
)
def test_values_in_range_are_not_changed(arguments):
    assert Patches(**arguments).given[0] is arguments["size"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (1, 2)}, r"size must be a list of 3, each a whole number of at least 1, got \(1, 2\)"),
        ({"size": (1, 2, 3), "share": float("nan")}, "share must be a number from 0 to 1, got nan"),
        ({"size": (1, 2, 3), "number": 0}, "number must be a whole number of at least 1 or null, got 0"),
    ],
)
def test_values_out_of_range_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Patches(**arguments)


def test_a_missing_argument_is_a_type_error():
    with pytest.raises(TypeError, match="size"):
        Patches()
