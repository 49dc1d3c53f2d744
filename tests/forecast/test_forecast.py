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
    epochs_done=0.0,
    epochs=10.0,
    validate_every=1,
    validation=Cases(windows=2.0, voxels=1.9),
    test=Cases(windows=2.0, voxels=1.5, trial_windows=0.5),
    fit_s=math.inf,
    at_most=False,
)


def test_run_is_the_sum_of_its_parts():
    result = forecast(TRIAL, PLAN)
    assert result.epoch_s == 2 + 20 * 0.5
    assert result.validation_s == 3 * 2 + 0.5
    # The test CT took 4 s. The network takes 1.5 s of these, half as long as for the validation volume.
    assert result.test_s == 1.5 * 2 + 2.5 * 1.5
    assert result.total_s == 1 + 10 * (12 + 6.5) + 6.75


def test_test_time_of_the_network_alone_grows_with_the_windows():
    plan = dataclasses.replace(PLAN, test=Cases(windows=3.0, voxels=7.0, trial_windows=2.0))
    assert forecast(TRIAL, plan).test_s == 4 * 3


@pytest.mark.parametrize(
    ("epochs_done", "epochs", "validations"),
    [
        (0.0, 10, 3),  # after epochs 3, 6 and 9
        (3.0, 7, 2),  # the first validation is done
        (2.75, 7.25, 3),  # the first validation is not done
        (9.0, 1, 0),
        (10.0, 0, 0),
        (12.0, 0, 0),
    ],
)
def test_only_the_rest_of_a_resumed_run_is_forecast(epochs_done, epochs, validations):
    plan = dataclasses.replace(PLAN, epochs_done=epochs_done, validate_every=3, test=None)
    assert forecast(TRIAL, plan).total_s == pytest.approx(1 + 12 * epochs + 6.5 * validations)


def test_time_limit_bounds_training_but_not_the_test():
    plan = dataclasses.replace(PLAN, fit_s=60.0)
    assert forecast(TRIAL, plan).total_s == 1 + 60 + 6.75
    endless = dataclasses.replace(PLAN, epochs=math.inf)
    assert forecast(TRIAL, endless).total_s == math.inf
    assert forecast(TRIAL, dataclasses.replace(endless, fit_s=60.0)).total_s == 1 + 60 + 6.75
    assert "no end, because neither epochs nor time are limited" in str(forecast(TRIAL, endless))


def test_without_validation_and_test_only_training_is_forecast():
    result = forecast(TRIAL, dataclasses.replace(PLAN, validation=None, test=None))
    assert result.total_s == 1 + 10 * 12
    assert "validation" not in str(result)
    assert "test" not in str(result)


@given(
    epochs=st.integers(1, 1000), epochs_done=st.floats(0, 1000), every=st.integers(1, 20), validation=st.floats(0, 50)
)
def test_done_and_remaining_parts_add_up_to_the_whole(epochs, epochs_done, every, validation):
    epochs_done = min(epochs_done, epochs)
    plan = dataclasses.replace(
        PLAN, epochs=float(epochs), validate_every=every, validation=Cases(validation, 1), test=None
    )
    trial = dataclasses.replace(TRIAL, once_s=0.0)
    whole = forecast(trial, plan).total_s
    left = forecast(trial, dataclasses.replace(plan, epochs_done=epochs_done)).total_s
    done = epochs_done * 12 + epochs_done // every * (3 * validation + 0.5)
    assert left + done == pytest.approx(whole)


def test_forecast_is_printed_in_one_line():
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
        (math.inf, "no limit"),
    ],
)
def test_durations_are_formatted(seconds, text):
    assert duration(seconds) == text


def test_gigabytes_are_decimal():
    assert gigabytes(1_949_999_999) == "1.9 GB"
