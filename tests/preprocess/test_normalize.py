import pytest
import torch
import torchio as tio

from segment.preprocess.normalize import Standardize, WindowHU


def subject(values):
    tensor = torch.tensor(values).reshape(1, 1, 1, -1)
    return tio.Subject(image=tio.ScalarImage(tensor=tensor), label=tio.LabelMap(tensor=tensor.abs().to(torch.uint8)))


def test_a_window_is_scaled_to_0_to_1():
    result = WindowHU([-160, 240])(subject([-1024.0, -160.0, -60.0, 40.0, 240.0, 3000.0]))
    assert result.image.data.flatten().tolist() == [0, 0, 0.25, 0.5, 1, 1]


def test_a_window_of_an_integer_image():
    result = WindowHU([-100, 100])(subject([-100, 50, 100]))
    assert result.image.data.flatten().tolist() == [0, 0.75, 1]
    assert result.image.data.dtype == torch.float32


def test_standardize_with_a_mean_and_a_deviation():
    assert Standardize(mean=0.5, std=0.25)(subject([0.0, 0.5, 1.0])).image.data.flatten().tolist() == [-2, 0, 2]


@pytest.mark.parametrize("transform", [WindowHU([0, 2]), Standardize(1, 2)])
def test_labels_and_the_input_are_not_changed(transform):
    before = subject([1.0, 2.0, 3.0])
    after = transform(before)
    assert after.label.data.flatten().tolist() == before.image.data.flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize("window", [[1, 1], [2, 1]])
def test_a_window_in_the_wrong_order_is_refused(window):
    with pytest.raises(ValueError, match=rf"window_hu must be .* in rising order, got \[{window[0]}, {window[1]}\]"):
        WindowHU(window)


@pytest.mark.parametrize("std", [0, -1])
def test_a_deviation_that_is_not_positive_is_refused(std):
    with pytest.raises(ValueError, match=f"std must be a number above 0, got {std}"):
        Standardize(0, std)
