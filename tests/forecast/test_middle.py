import pytest
from torch import nn

from segment.callbacks.freeze import Freeze
from segment.forecast.middle import shift_schedules
from segment.model.combined_loss import DeepSupervision, Ramp, Sum


def test_ramps_and_freezes_are_shifted_by_the_epoch():
    ramp = Ramp(nn.Identity(), start_weight=0.0, end_weight=0.5, start_epoch=2, end_epoch=10)
    callbacks = [Freeze(["*"], 8), Freeze(["*"], None)]
    shift_schedules(6, DeepSupervision(Sum({"ramp": ramp})), callbacks)
    assert ramp.weight == 0.25
    ramp.epoch = 1
    assert ramp.weight == pytest.approx(0.25 + 0.5 / 8)
    assert [freeze.until_epoch for freeze in callbacks] == [2, None]
