import math

import pytest

from segment.comparison.report.numbers import chance, gap, level, span


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("dice", 0.0184, "1.8"),
        ("dice", -0.0184, "-1.8"),
        ("nsd", 0.0004, "0.04"),  # one decimal would say that there is none
        ("nsd", 0.0, "0.0"),
        ("dice", -0.00001, "0.00"),  # no sign without a digit
        ("hd95_mm", 12.34, "12.3"),
        ("hd95_mm", math.inf, "∞"),
        ("hd95_mm", math.nan, "-"),
    ],
)
def test_differences_in_points_and_mm(metric, value, text):
    assert gap(metric, value) == text


def test_signs_intervals_and_levels():
    assert gap("dice", 0.0184, signed=True) == "+1.8"
    assert span("dice", -0.009, 0.027) == "[-0.9, 2.7]"
    assert span("dice", math.nan, math.nan) == "[-, -]"
    assert (level("dice", 0.95349), level("hd95_mm", 1.49), level("nsd", math.nan)) == ("0.953", "1.5", "-")


@pytest.mark.parametrize(
    ("p", "text"), [(0.00001, "<0.0001"), (0.00042, "0.0004"), (0.0123, "0.012"), (0.345, "0.34"), (math.nan, "-")]
)
def test_p_values(p, text):
    assert chance(p) == text
