import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.forecast.forecast import Cases, Plan, TrialTimes, duration, forecast, gigabytes

TRIAL = TrialTimes(
    steps=8,
    once_s=1.0,
    step_s=0.5,
    waiting=0.0,
    epoch_s=2.0,
    volume_s=3.0,
    validation_s=0.5,
    test_s=4.0,
    memory_bytes=1_900_000_000,
    gpu_bytes=None,
)
PLAN = Plan(
    patches=40,
    steps=20,
    begun=0.0,
    epochs=10.0,
    validate_every=1,
    validation=Cases(windows=2.0, voxels=1.9),
    test=Cases(windows=2.0, voxels=1.5, tried=0.5),
    fit_s=math.inf,
    at_most=False,
)


def test_a_run_is_the_sum_of_its_parts():
    result = forecast(TRIAL, PLAN)
    assert result.epoch_s == 2 + 20 * 0.5
    assert result.validation_s == 3 * 2 + 0.5
    # Of the 4 s of the CT that was tried, the network takes half of a validation volume's 3 s.
    assert result.test_s == 1.5 * 2 + 2.5 * 1.5
    assert result.total_s == 1 + 10 * (12 + 6.5) + 6.75


def test_a_test_that_takes_no_longer_than_the_network_grows_with_the_windows():
    plan = dataclasses.replace(PLAN, test=Cases(windows=3.0, voxels=7.0, tried=2.0))
    assert forecast(TRIAL, plan).test_s == 4 * 3


@pytest.mark.parametrize(
    ("begun", "epochs", "validations"),
    [
        (0.0, 10, 3),  # after epochs 3, 6 and 9
        (3.0, 7, 2),  # the first one is done
        (2.75, 7.25, 3),  # it is not
        (9.0, 1, 0),
        (10.0, 0, 0),
        (12.0, 0, 0),
    ],
)
def test_a_resumed_run_has_only_the_rest_to_do(begun, epochs, validations):
    plan = dataclasses.replace(PLAN, begun=begun, validate_every=3, test=None)
    assert forecast(TRIAL, plan).total_s == pytest.approx(1 + 12 * epochs + 6.5 * validations)


def test_the_time_that_training_may_take_bounds_it_but_not_the_test():
    plan = dataclasses.replace(PLAN, fit_s=60.0)
    assert forecast(TRIAL, plan).total_s == 1 + 60 + 6.75
    endless = dataclasses.replace(PLAN, epochs=math.inf)
    assert forecast(TRIAL, endless).total_s == math.inf
    assert forecast(TRIAL, dataclasses.replace(endless, fit_s=60.0)).total_s == 1 + 60 + 6.75
    assert "without end" in str(forecast(TRIAL, endless))


def test_without_validation_and_test_only_training_counts():
    result = forecast(TRIAL, dataclasses.replace(PLAN, validation=None, test=None))
    assert result.total_s == 1 + 10 * 12
    assert "validation" not in str(result)
    assert "test" not in str(result)


@given(epochs=st.integers(1, 1000), begun=st.floats(0, 1000), every=st.integers(1, 20), validation=st.floats(0, 50))
def test_what_is_done_and_what_is_left_make_the_whole(epochs, begun, every, validation):
    begun = min(begun, epochs)
    plan = dataclasses.replace(
        PLAN, epochs=float(epochs), validate_every=every, validation=Cases(validation, 1), test=None
    )
    trial = dataclasses.replace(TRIAL, once_s=0.0)
    whole = forecast(trial, plan).total_s
    left = forecast(trial, dataclasses.replace(plan, begun=begun)).total_s
    done = begun * 12 + begun // every * (3 * validation + 0.5)
    assert left + done == pytest.approx(whole)


def test_it_is_told_in_one_line():
    text = str(forecast(TRIAL, PLAN))
    assert text.startswith("40 patches an epoch, 0.5 s a step, 12 s an epoch, 6.5 s a validation, 6.8 s for the test, ")
    assert ", 3 min 13 s in all (until " in text
    assert text.endswith("), 1.9 GB")
    bounded = forecast(dataclasses.replace(TRIAL, gpu_bytes=7_300_000_000), dataclasses.replace(PLAN, at_most=True))
    assert ", at most 3 min 13 s in all (until " in str(bounded)
    assert str(bounded).endswith(", 1.9 GB, 7.3 GB on the GPU")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.012, "12 ms"),
        (1.23, "1.2 s"),
        (9.97, "10 s"),
        (59.7, "1 min 00 s"),
        (260, "4 min 20 s"),
        (3599.6, "1 h 00 min"),
        (11100, "3 h 05 min"),
        (187300, "2 d 4 h"),
        (math.inf, "without end"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_gigabytes_are_decimal():
    assert gigabytes(1_949_999_999) == "1.9 GB"
