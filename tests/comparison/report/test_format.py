import math

import pytest

from segment.comparison.report.format import format_cost, format_difference, format_interval, format_p, format_score


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("dice", 0.0184, "1.8"),
        ("dice", -0.0184, "-1.8"),
        ("nsd", 0.0004, "0.04"),  # one decimal would show zero
        ("nsd", 0.0, "0.0"),
        ("dice", -0.00001, "0.00"),  # no sign for zero
        ("hd95_mm", 12.34, "12.3"),
        ("hd95_mm", math.inf, "∞"),
        ("hd95_mm", math.nan, "-"),
    ],
)
def test_differences_in_points_and_mm(metric, value, text):
    assert format_difference(metric, value) == text


def test_signs_intervals_and_scores():
    assert format_difference("dice", 0.0184, signed=True) == "+1.8"
    assert format_interval("dice", -0.009, 0.027) == "[-0.9, 2.7]"
    assert format_interval("dice", math.nan, math.nan) == "[-, -]"
    assert format_score("dice", 0.95349) == "0.953"
    assert format_score("hd95_mm", 1.49) == "1.5"
    assert format_score("nsd", math.nan) == "-"


@pytest.mark.parametrize(
    ("p", "text"), [(0.00001, "<0.0001"), (0.00042, "0.0004"), (0.0123, "0.012"), (0.345, "0.34"), (math.nan, "-")]
)
def test_p_values(p, text):
    assert format_p(p) == text


def test_costs_are_plain_numbers():
    assert format_cost(16_601, 0.413) == "16,601 parameters, 0.41 hours per run"
    assert format_cost(None, 123.4) == "123 hours per run"
