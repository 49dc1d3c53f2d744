import dataclasses

import pytest
from test_forecast import PLAN, TRIAL

from segment.forecast.forecast import Cases, forecast
from segment.forecast.trouble import little_memory, rare_organs, slow_parts, small_volumes

ORGANS = ["liver", "spleen"]


def test_axes_with_many_volumes_shorter_than_a_patch_are_named():
    shapes = [(80, 64, 40), (64, 70, 30), (50, 64, 50), (90, 64, 70)]
    along_i, along_k = small_volumes(shapes, (64, 64, 64))
    assert "64 voxels along I, but 25% of the training volumes have fewer (median 72)" in along_i
    assert "64 voxels along K, but 75% of the training volumes have fewer (median 45)" in along_k
    assert len(small_volumes(shapes, (100, 100, 100))) == 3
    assert small_volumes(shapes, (50, 64, 30)) == []
    one_short = [(40, 64, 64)]
    assert len(small_volumes([(64, 64, 64)] * 4 + one_short, (64, 64, 64))) == 1  # 20 %
    assert small_volumes([(64, 64, 64)] * 5 + one_short, (64, 64, 64)) == []


def test_organ_in_few_cases_is_named():
    classes_by_case = [[1]] * 20 + [[1, 2]]
    (found,) = rare_organs(classes_by_case, ORGANS, patches=1000, foreground_share=0.5)
    assert "only 1 of 21 training cases show spleen" in found
    assert rare_organs([[1], [1], [2]], ORGANS, patches=100, foreground_share=0.5) == []


def test_organs_with_less_than_one_patch_per_epoch_are_named():
    # 4 of 8 patches are placed around an organ, 2 in each volume. In the second volume, liver and spleen get 1 each.
    classes_by_case = [[1], [1, 2]]
    assert rare_organs(classes_by_case, ORGANS, patches=8, foreground_share=0.5) == []
    (found,) = rare_organs(classes_by_case, ORGANS, patches=7, foreground_share=0.5)
    assert "fewer than one patch per epoch is placed around spleen (only 0.88 around the rarest organ)" in found
    assert rare_organs(classes_by_case, ORGANS, patches=1, foreground_share=0.0) == []  # none is placed on purpose


@pytest.mark.parametrize(("validate_every", "validation_s", "every"), [(1, 40.0, 4), (2, 40.0, 4), (4, 40.0, None)])
def test_long_validation_is_reported_with_a_better_interval(validate_every, validation_s, every):
    plan = dataclasses.replace(PLAN, validation=Cases(1, 1), validate_every=validate_every)
    trial = dataclasses.replace(TRIAL, volume_s=validation_s)  # an epoch takes 12 s
    found = slow_parts(trial, plan, forecast(trial, plan))
    assert [f"check_val_every_n_epoch={every} " in sentence for sentence in found] == ([True] if every else [])


def test_short_validation_is_accepted():
    plan = dataclasses.replace(PLAN, validation=Cases(1, 1), steps=1)
    assert slow_parts(TRIAL, plan, forecast(TRIAL, plan)) == []


def test_slow_loader_is_reported():
    trial = dataclasses.replace(TRIAL, waiting=0.45)
    (found,) = slow_parts(trial, PLAN, forecast(trial, PLAN))
    assert "waits for patches during 45% of its time; raise data.num_workers" in found
    short = dataclasses.replace(trial, steps=7)  # too few steps to measure
    assert slow_parts(short, PLAN, forecast(short, PLAN)) == []


def test_too_little_memory_is_reported():
    result = forecast(TRIAL, PLAN)
    assert little_memory(result, 1_900_000_000) == []
    (found,) = little_memory(result, 1_600_000_000)
    assert "needs 1.9 GB of memory and 1.6 GB are free" in found
