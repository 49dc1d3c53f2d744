import json
from copy import deepcopy

import numpy as np
import pytest

from segment.inference.confidence.trees import Trees, parse_trees

SPLIT = {"feature": [1, -1, -1], "threshold": [0.5, 0, 0], "left": [1, 0, 0], "right": [2, 0, 0], "value": [0, -1, 2]}
LEAF = {"feature": [-1], "threshold": [0], "left": [0], "right": [0], "value": [10]}


def test_leaves_are_added_up():
    trees = Trees(100.0, [SPLIT, LEAF])
    rows = np.array([[9.0, 0.5], [9, 0.6]])
    assert trees(rows).tolist() == [109, 112]
    assert Trees(3.0, [])(rows).tolist() == [3, 3]


def test_plain_values_give_the_same_trees():
    trees = Trees(1.5, [SPLIT, LEAF])
    again = parse_trees(json.loads(json.dumps(trees.to_plain())), 2)
    rows = np.random.default_rng(0).normal(size=(20, 2))
    assert np.array_equal(again(rows), trees(rows))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"left": [0, 0, 0]}, "not a later node"),  # an endless loop
        ({"right": [3, 0, 0]}, "not a later node"),
        ({"feature": [2, -1, -1]}, "does not exist"),
        ({"feature": [-2, -1, -1]}, "does not exist"),
        ({"value": [0, float("nan"), 2]}, "no numbers"),
        ({"value": [0, 1]}, "same length"),
    ],
)
def test_trees_that_are_none_are_refused(change, words):
    content = {"start": 0.0, "trees": [SPLIT, deepcopy(SPLIT) | change]}
    with pytest.raises(ValueError, match=words):
        parse_trees(content, 2)


def test_too_many_trees_are_refused():
    with pytest.raises(ValueError, match="at most 2000"):
        parse_trees({"start": 0.0, "trees": [LEAF] * 2001}, 2)
    with pytest.raises(ValueError, match="start is inf"):
        parse_trees({"start": float("inf"), "trees": []}, 2)
