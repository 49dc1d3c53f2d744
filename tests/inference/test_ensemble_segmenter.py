import weakref

import nibabel as nib
import numpy as np
import torch
import torchio as tio
from torch import nn

from segment.inference.ensemble import EnsembleSegmenter
from segment.inference.postprocess.clean_up import CleanUp
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow
from segment.io.scan import Scan


def net(weight, bias):
    """A network whose logits of two classes are linear in the image."""
    conv = nn.Conv3d(1, 2, 1)
    conv.weight.data = torch.tensor(weight).reshape(2, 1, 1, 1, 1)
    conv.bias.data = torch.tensor(bias)
    return conv.eval()


def segmenter(weight, bias, size=4):
    return Segmenter(net(weight, bias), tio.Compose([]), SlidingWindow([size] * 3, 0))


def test_logits_are_those_of_the_mean_probabilities():
    members = [segmenter([0.0, 2.0], [0.0, -1.0]), segmenter([1.0, 0.0], [0.0, 0.5], size=3)]
    image = torch.rand(1, 1, 40, 5, 6)  # more than one slab
    with torch.inference_mode():
        found = EnsembleSegmenter(members).logits(image)
        expected = sum(member.logits(image).softmax(1) for member in members) / 2
    assert found.shape == (1, 2, 40, 5, 6)
    assert torch.allclose(found.softmax(1), expected, atol=1e-6)


def test_only_members_with_windows_of_the_first_ones_size_take_a_second_look():
    """A network may take no other windows, as an exported file."""
    first, other = segmenter([0.0, 2.0], [0.0, -1.0]), segmenter([1.0, 0.0], [0.0, 0.5], size=3)
    window = torch.rand(1, 1, 4, 4, 4)
    with torch.inference_mode():
        alone = EnsembleSegmenter([first, other]).window_logits(window).softmax(1)
        assert torch.allclose(alone, first.window_logits(window).softmax(1), atol=1e-6)
        both = EnsembleSegmenter([first, segmenter([1.0, 0.0], [0.0, 0.5])]).window_logits(window).softmax(1)
        assert not torch.allclose(both, alone, atol=1e-2)


def scan(values):
    return Scan(np.asarray(values, np.float32), np.eye(4), nib.Nifti1Header(), values.shape)


def test_the_mask_follows_the_mean_even_against_one_member():
    # For value x, the probabilities of the organ are sigmoid(8(x - 0.5)) and sigmoid(8(x - 0.9)). Their mean is 0.5 at
    # x = 0.7.
    members = [segmenter([0.0, 8.0], [0.0, -4.0]), segmenter([0.0, 8.0], [0.0, -7.2])]
    values = np.linspace(0, 1, 64).reshape(4, 4, 4)
    assert np.array_equal(EnsembleSegmenter(members)(scan(values)), (values > 0.7).astype(np.uint8))


def test_equal_members_give_the_mask_of_one_member():
    class Halve(tio.Transform):
        def apply_transform(self, subject):
            return tio.Resample(2.0)(subject)

    values = np.random.default_rng(0).random((9, 8, 7))
    one = Segmenter(net([0.0, 9.0], [0.0, -4.5]), Halve(), SlidingWindow([4, 4, 4], 2))
    assert np.array_equal(EnsembleSegmenter([one, one, one])(scan(values)), one(scan(values)))


def test_extreme_probabilities_give_finite_logits():
    sure = [segmenter([0.0, 0.0], [0.0, value]) for value in (1e4, 1e4)]
    with torch.inference_mode():
        logits = EnsembleSegmenter(sure).logits(torch.zeros(1, 1, 4, 4, 4))
    assert torch.isfinite(logits).all()


def test_post_processing_and_evaluation_mode_come_from_the_members():
    one = Segmenter(net([0.0, 1.0], [0.0, 0.0]), tio.Compose([]), SlidingWindow([4] * 3, 0), CleanUp(["organ"], {}, {}))
    ensemble = EnsembleSegmenter([one, one])
    assert ensemble.postprocess is one.postprocess
    ensemble(scan(np.ones((4, 4, 4))))
    assert not one.net.training


def test_memory_holds_the_logits_of_one_member_at_a_time():
    made, alive = [], []

    class Counting(Segmenter):
        def logits(self, image):
            alive.append(sum(logits() is not None for logits in made))
            result = torch.zeros(1, 2, 4, 4, 4)
            made.append(weakref.ref(result))
            return result

    members = [Counting(net([0.0, 1.0], [0.0, 0.0]), tio.Compose([]), None) for _ in range(4)]
    with torch.inference_mode():
        EnsembleSegmenter(members).logits(torch.zeros(1, 1, 4, 4, 4))
    assert alive == [0, 0, 0, 0]  # the sum is a tensor of its own


def test_members_search_for_organs_and_the_mask_is_that_of_the_mean():
    """The organ of the first member is larger, and where only one member has looked, the other says background."""
    values = np.zeros((40, 24, 24))
    values[4:20, 4:16, 4:16] = 1
    values[8:18, 6:14, 6:14] = 3
    members = []
    for threshold in (0.5, 2.0):
        one = segmenter([0.0, 8.0], [0.0, -8 * threshold], size=8)
        members.append(Segmenter(one.net, one.transform, SlidingWindow([8] * 3, 4)))
    ensemble = EnsembleSegmenter(members)
    found = ensemble.segment(scan(values), exact=False)
    assert len(found.searches) == 2
    assert sum(search.windows for search in found.searches) < 2 * found.searches[0].all_windows
    assert np.array_equal(found.mask, ensemble(scan(values)))
    assert np.array_equal(found.mask, (values > 1).astype(np.uint8))
