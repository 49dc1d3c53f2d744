import json
from math import inf, nan

import numpy as np

from segment.io.json_file import plain_json


def test_numbers_that_json_does_not_have_are_null_at_any_depth():
    value = {3: [1.23456, inf, (nan, -inf)], "text": "nan", "none": None, "yes": True, "float": np.float64(0.5)}
    expected = {"3": [1.23456, None, [None, None]], "text": "nan", "none": None, "yes": True, "float": 0.5}
    assert plain_json(value) == expected
    assert json.loads(json.dumps(plain_json(value), allow_nan=False)) == expected


def test_numbers_are_rounded_on_demand():
    assert plain_json({"a": [0.123456, 7, inf]}, 4) == {"a": [0.1235, 7, None]}
