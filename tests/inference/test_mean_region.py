import torch

from segment.inference.mean_region import MeanRegion
from segment.inference.region import Region


def region(start, shape, seed=0):
    return Region(4 * torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed)), start)


def whole(one, size):
    """Probabilities of a region in a volume: background outside."""
    probs = torch.zeros(3, *size)
    probs[0] = 1
    box = tuple(slice(s, s + n) for s, n in zip(one.start, one.logits.shape[1:], strict=True))
    probs[(slice(None), *box)] = one.logits.softmax(dim=0)
    return probs


def test_the_mean_holds_all_boxes_and_outside_of_one_it_says_background():
    size = (60, 12, 14)
    parts = [region((20, 4, 4), (36, 5, 5), 1), region((2, 1, 6), (5, 6, 7), 2), region((30, 5, 5), (2, 2, 2), 3)]
    mean = MeanRegion()
    for part in parts:
        mean.add(part)
    found = mean.region()
    assert found.start == (2, 1, 4)
    assert found.logits.shape == (3, 54, 8, 9)
    expected = sum(whole(part, size) for part in parts) / 3
    assert torch.allclose(whole(found, size), expected, atol=1e-6)


def test_the_mean_of_one_has_its_probabilities_and_does_not_change_it():
    one = region((1, 2, 3), (4, 5, 6))
    before = one.logits.clone()
    mean = MeanRegion()
    mean.add(one)
    found = mean.region()
    assert torch.equal(one.logits, before)
    assert found.start == one.start
    assert torch.allclose(found.logits.softmax(0), before.softmax(0), atol=1e-6)


def test_sure_probabilities_give_finite_logits():
    sure = torch.zeros(2, 1, 1, 1)
    sure[1] = 1e4
    mean = MeanRegion()
    mean.add(Region(sure, (0, 0, 0)))
    assert mean.region().logits.isfinite().all()
