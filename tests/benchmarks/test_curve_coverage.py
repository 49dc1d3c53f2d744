"""The intervals of learning curves hold the truth as often as they claim: a short form of benchmarks/curve.py."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from curve import TRUTHS, coverage


@pytest.mark.parametrize("truth", ["power law, c = 1", "sigmoid"])
def test_the_interval_at_40_holds_the_truth_in_nine_of_ten_repetitions(truth):
    found = coverage(TRUTHS[truth], repetitions=40)
    assert found.held >= 0.85
    assert found.needed >= 0.85
    assert found.width < 0.12
    assert found.curves > 0.9


def test_a_flat_curve_is_refused():
    assert coverage(TRUTHS["nearly flat"], repetitions=40).curves < 0.15
