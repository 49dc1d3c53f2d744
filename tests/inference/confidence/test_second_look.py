import numpy as np
import torch

from segment.inference.confidence.second_look import look_again
from segment.inference.region import Region

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


def network(window):
    """Logits of organs whose class is their brightness; kidneys by the half of the window in which they lie."""
    values = window[:, 0]
    middle = torch.arange(window.shape[2]).view(1, -1, 1, 1) < window.shape[2] / 2
    is_kidney = values == 2
    classes = torch.where(is_kidney, torch.where(middle, 3, 2), torch.where(values > 0, values, 0))
    return 20 * torch.nn.functional.one_hot(classes.long(), 5).movedim(-1, 1).float()


def volume():
    """A liver, a kidney on each side, and a spleen, in the middle of 40³ voxels; the first half is left."""
    image = torch.zeros(1, 1, 40, 40, 40)
    image[..., 22:30, 15:25, 20:28] = 1
    image[..., 12:16, 15:20, 12:18] = 2
    image[..., 24:28, 15:20, 12:18] = 2
    image[..., 11:15, 15:20, 22:26] = 4
    return image


def region(image):
    logits = network(image)[0]
    return Region(logits[:, 5:35, 10:30, 5:35], (5, 10, 5))


def test_a_network_that_sees_the_same_again_agrees():
    image = volume()
    looks = look_again(network, (32, 32, 32), image, region(image), ORGANS, 8)
    assert set(looks) == {"moved", "mirrored"}
    for look in looks.values():  # also mirrored: right and left kidney are exchanged back
        assert np.allclose(look.agreement[1:], 1)
        assert np.allclose(look.size[1:], 1)
        assert np.allclose(look.expected_dice, 1, atol=1e-3)


def test_a_ct_is_not_mirrored_if_a_name_may_have_a_side():
    image = volume()
    assert set(look_again(network, (32, 32, 32), image, region(image), ["liver", "RK", "x", "spleen"], 8)) == {"moved"}


def test_a_network_that_sees_less_in_the_second_look_disagrees():
    image = volume()

    def forgetful(window):
        logits = network(window)
        logits[:, 1, :, :, :20] = -20  # no liver in the lower part
        return logits

    look = look_again(forgetful, (32, 32, 32), image, region(image), ORGANS, 8)["moved"]
    assert 0.2 < look.agreement[1] < 0.95
    assert look.size[1] < 1
    assert np.allclose(look.agreement[2:], 1)


def test_the_number_of_looks_is_limited_and_organs_out_of_sight_are_unknown():
    image = torch.zeros(1, 1, 80, 16, 16)
    image[..., 4:8, 4:8, 4:8] = 1
    image[..., 70:74, 4:8, 4:8] = 4
    calls = []

    def counting(window):
        calls.append(window.shape)
        return network(window)

    whole = Region(network(image)[0], (0, 0, 0))
    few = look_again(counting, (16, 16, 16), image, whole, ORGANS, 5)["moved"]
    assert len(calls) == 2  # one place, moved and mirrored
    assert np.isnan(few.agreement[[1, 4]]).sum() == 1
    many = look_again(counting, (16, 16, 16), image, whole, ORGANS, 30)["moved"]
    assert many.agreement[[1, 4]].tolist() == [1, 1]


def test_a_volume_smaller_than_a_window_and_one_without_organs():
    image = volume()[..., 8:34, 10:30, 8:30]
    looks = look_again(network, (32, 32, 32), image, Region(network(image)[0], (0, 0, 0)), ORGANS, 1)
    assert np.allclose(looks["moved"].agreement[[1, 4]], 1)
    empty = torch.zeros(1, 1, 32, 32, 32)
    assert look_again(network, (32, 32, 32), empty, Region(network(empty)[0], (0, 0, 0)), ORGANS, 1) == {}
