import mmap
import sys

import numpy as np
import pytest

from segment.run.resource_use import ResourceUse, peak
from segment.run.training_resources import TrainingResources

SIZE = 200_000_000


def test_peak_includes_freed_memory():
    before = peak()
    block = np.ones(before + SIZE // 10, np.uint8)  # more than the process has used so far
    del block
    assert peak() >= before + SIZE // 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can reset the peak")
def test_job_does_not_report_the_peak_of_an_earlier_one():
    # A mapping goes back to the system when it is closed; malloc may keep an array, if an earlier test ran a command.
    with mmap.mmap(-1, SIZE) as block:
        block.write(bytes(SIZE))
        before = peak()
    use = ResourceUse.start()
    assert peak() < before - SIZE // 2
    assert use.measured()["peak_memory_gib"] == pytest.approx(peak() / 2**30, abs=0.01)


def test_only_whole_epochs_are_timed():
    use = TrainingResources()
    assert use.measured() == {}
    use.starts = [10.0]  # one epoch started and was stopped
    assert use.measured() == {}
    use.starts = [10.0, 13.0, 15.0]
    assert use.measured() == {"epoch_s": 2.5}
