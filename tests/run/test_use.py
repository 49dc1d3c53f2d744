import sys

import numpy as np
import pytest

from segment.run.training_use import TrainingUse
from segment.run.use import Use, peak

SIZE = 200_000_000


def test_the_peak_remembers_what_was_given_back():
    before = peak()
    block = np.ones(before + SIZE // 10, np.uint8)  # more than ever lay in memory
    del block
    assert peak() >= before + SIZE // 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
def test_a_job_does_not_report_the_peak_of_an_earlier_one():
    block = np.ones(SIZE, np.uint8)
    before = peak()
    del block
    use = Use.begin()
    assert peak() < before - SIZE // 2
    assert use.so_far()["peak_memory_gib"] == pytest.approx(peak() / 2**30, abs=0.01)


def test_seconds_are_those_of_whole_epochs():
    use = TrainingUse()
    assert use.so_far() == {}
    use.starts = [10.0]  # one began and was stopped
    assert use.so_far() == {}
    use.starts = [10.0, 13.0, 15.0]
    assert use.so_far() == {"epoch_s": 2.5}
