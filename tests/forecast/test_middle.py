import pytest
from torch import nn

from segment.callbacks.freeze import Freeze
from segment.forecast.middle import begin_at
from segment.model.combined_loss import DeepSupervision, Ramp, Sum


def test_ramps_and_frozen_parts_are_those_of_the_epoch():
    ramp = Ramp(nn.Identity(), start_weight=0.0, end_weight=0.5, start_epoch=2, end_epoch=10)
    callbacks = [Freeze(["*"], 8), Freeze(["*"], None)]
    begin_at(6, DeepSupervision(Sum({"ramp": ramp})), callbacks)
    assert ramp.weight == 0.25
    ramp.epoch = 1
    assert ramp.weight == pytest.approx(0.25 + 0.5 / 8)
    assert [freeze.until_epoch for freeze in callbacks] == [2, None]
