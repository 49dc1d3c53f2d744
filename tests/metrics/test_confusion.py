import csv
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchmetrics.functional.classification import multiclass_confusion_matrix

from segment.metrics.confusion import confusion, dice, shares, worst_and_median, write_confusion
from segment.metrics.scores import score_case

MASKS = arrays.arrays(np.uint8, (3, 4, 2), elements=st.integers(0, 2))


def test_reference_classes_are_rows_and_predicted_classes_columns():
    reference = np.array([[[0, 1, 1]], [[2, 2, 2]]], dtype=np.uint8)
    pred = np.array([[[0, 1, 2]], [[2, 0, 0]]], dtype=np.uint8)
    assert confusion(pred, reference, 3).tolist() == [[1, 0, 0], [0, 1, 1], [2, 0, 1]]


@given(MASKS, MASKS)
def test_confusion_equals_torchmetrics(pred, reference):
    expected = multiclass_confusion_matrix(torch.from_numpy(pred), torch.from_numpy(reference), num_classes=3)
    assert np.array_equal(confusion(pred, reference, 3), expected.numpy())


@given(MASKS, MASKS)
def test_dice_from_the_matrix_equals_dice_from_the_masks(pred, reference):
    for index, value in enumerate(dice(confusion(pred, reference, 3)), start=1):
        both, size = ((pred == index) & (reference == index)).sum(), (pred == index).sum() + (reference == index).sum()
        assert math.isnan(value) if size == 0 else value == pytest.approx(2 * both / size)


def test_organs_that_are_not_annotated_are_left_out():
    """A background voxel that is predicted as such an organ may be correct; a voxel of a known organ is missed."""
    reference = np.array([[[0, 0, 1, 1]]], dtype=np.uint8)
    pred = np.array([[[2, 0, 1, 2]]], dtype=np.uint8)
    annotated = [True, True, False]
    matrix = confusion(pred, reference, 3, annotated)
    assert matrix.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert str(dice(matrix, annotated)) == str([2 / 3, math.nan])


@given(MASKS, MASKS)
def test_dice_of_partial_labels_is_that_of_the_scores(pred, reference):
    """As in `val/dice` and in the tables of the test."""
    reference[reference == 2] = 0  # the second organ is not annotated
    annotated = [True, True, False]
    found = dice(confusion(pred, reference, 3, annotated), annotated)
    score, _ = score_case(pred, reference, np.eye(4), ["liver", "spleen"], {"liver": 2.0, "spleen": 2.0})
    assert found[0] == pytest.approx(score.dice, nan_ok=True)


def test_shares_of_a_row_sum_to_1_and_are_nan_without_voxels():
    share = shares(np.array([[3, 1], [0, 0]]))
    assert share[0].tolist() == [0.75, 0.25]
    assert np.isnan(share[1]).all()


def test_the_table_has_a_row_for_each_pair_of_classes(tmp_path):
    write_confusion(tmp_path / "confusion.csv", np.array([[6, 2], [1, 3]]), ["liver"])
    with (tmp_path / "confusion.csv").open(newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert rows == [
        ("background", "background", "0.75", "6"),
        ("background", "liver", "0.25", "2"),
        ("liver", "background", "0.25", "1"),
        ("liver", "liver", "0.75", "3"),
    ]


@pytest.mark.parametrize(
    ("means", "worst", "median"),
    [
        ({"a": 0.5}, "a", "a"),
        ({"a": 0.5, "b": 0.2}, "b", "b"),
        ({"a": 0.9, "b": 0.2, "c": 0.5}, "b", "c"),
        ({"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.7}, "b", "c"),
        ({"a": math.nan, "b": 0.2, "c": 0.5}, "b", "b"),
    ],
)
def test_worst_and_median_case_by_mean_dice(means, worst, median):
    assert worst_and_median((case, [mean, math.nan, mean]) for case, mean in means.items()) == (worst, median)


def test_worst_and_median_without_any_score_is_an_error():
    with pytest.raises(ValueError, match="no case has a score"):
        worst_and_median([("a", [math.nan])])
