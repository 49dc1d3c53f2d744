import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses import DiceCELoss, DiceLoss, FocalLoss, TverskyLoss
from scipy.spatial import cKDTree
from torch.nn import functional as F  # noqa: N812

from segment.errors import UserError
from segment.model.losses import Boundary, CrossEntropy, DiceCrossEntropy, Tversky, signed_distance


def random_case(seed=0, classes=3, size=5, batch=2):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, size, size, size, generator=generator) * 2
    return logits, torch.randint(0, classes, (batch, 1, size, size, size), generator=generator)


def test_cross_entropy_equals_torch():
    logits, label = random_case()
    weight = torch.tensor([0.2, 1.0, 3.0])
    for each in (None, weight):
        assert CrossEntropy(each)(logits, label).item() == pytest.approx(
            F.cross_entropy(logits, label[:, 0], each).item(), rel=1e-6
        )


def test_labels_may_have_any_numeric_type():
    logits, label = random_case()
    expected = CrossEntropy()(logits, label)
    for kind in (torch.uint8, torch.float32):
        assert CrossEntropy()(logits, label.to(kind)) == expected


def test_focal_loss_equals_monai_with_softmax():
    logits, label = random_case()
    reference = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=2.0)(logits, label)
    # MONAI also averages over the three classes. Only the true one is not 0.
    assert CrossEntropy(gamma=2.0)(logits, label).item() == pytest.approx(3 * reference.item(), rel=1e-5)


def test_focal_loss_by_hand():
    logits = torch.tensor([0.0, math.log(3)]).reshape(1, 2, 1, 1, 1)  # probabilities 1/4 and 3/4
    label = torch.ones(1, 1, 1, 1, 1)
    assert CrossEntropy(gamma=2.0)(logits, label).item() == pytest.approx(0.25**2 * -math.log(0.75), rel=1e-5)


def test_cross_entropy_is_0_if_all_weights_are_0():
    logits, label = random_case()
    assert CrossEntropy(torch.zeros(3), gamma=1.0)(logits, label) == 0


def dice_and_cross_entropy(make, weight, include_background=False):
    return make(to_onehot_y=True, softmax=True, include_background=include_background, batch=True, weight=weight)


@pytest.mark.parametrize("include_background", [True, False])
@pytest.mark.parametrize("weight", [None, torch.tensor([0.0, 1.0, 3.0])], ids=["plain", "weighted"])
def test_dice_cross_entropy_equals_monai_bit_for_bit(weight, include_background):
    logits, label = random_case()
    ours, theirs = (
        dice_and_cross_entropy(make, weight, include_background)(logits, label)
        for make in (DiceCrossEntropy, DiceCELoss)
    )
    assert ours == theirs


def test_dice_cross_entropy_is_dice_if_all_voxels_have_weight_0():
    logits, label = random_case()
    label = label.to(torch.uint8) * 0
    logits.requires_grad_()
    weight = torch.tensor([0.0, 1.0, 3.0])
    loss = dice_and_cross_entropy(DiceCrossEntropy, weight)(logits, label)
    dice = DiceLoss(to_onehot_y=True, softmax=True, include_background=False, batch=True, weight=weight[1:])
    assert loss == dice(logits, label)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
def test_tversky_equals_monai(batch, include_background):
    logits, label = random_case()
    ours = Tversky(0.3, 0.7, include_background=include_background, batch=batch)(logits, label)
    reference = TverskyLoss(include_background, to_onehot_y=True, softmax=True, alpha=0.3, beta=0.7, batch=batch)
    assert ours.item() == pytest.approx(reference(logits, label).item(), rel=1e-5)


def test_tversky_weights_and_exponent_by_hand():
    # Class 1: TP 2, FP 2, FN 0. Class 2: TP 2, FP 0, FN 2.
    reference = torch.tensor([1, 1, 2, 2, 2, 2, 0, 0]).reshape(1, 1, 8, 1, 1)
    predicted = torch.tensor([1, 1, 1, 1, 2, 2, 0, 0])
    logits = 50.0 * F.one_hot(predicted, 3).T.reshape(1, 3, 8, 1, 1).float()
    index = [2 / (2 + 0.3 * 2), 2 / (2 + 0.7 * 2)]
    loss = Tversky(0.3, 0.7, gamma=0.75, weight=torch.tensor([1.0, 3.0]))(logits, reference)
    assert loss.item() == pytest.approx(((1 - index[0]) ** 0.75 + 3 * (1 - index[1]) ** 0.75) / 2, rel=1e-4)


def test_exponents_out_of_range_are_refused():
    with pytest.raises(UserError, match="gamma must be a number of at least 0, got -1"):
        CrossEntropy(gamma=-1)
    with pytest.raises(UserError, match="gamma must be a number above 0, got 0"):
        Tversky(0.5, 0.5, gamma=0)


@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.2, 0.6, 0.97]))
def test_signed_distance_equals_a_nearest_neighbour_search(seed, share):
    mask = np.random.default_rng(seed).random((6, 5, 4)) < share
    found = signed_distance(mask)
    if mask.all() or not mask.any():
        assert (found == 0).all()
        return
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    expected = np.zeros(mask.shape)
    expected[~mask] = cKDTree(inside).query(outside)[0]
    expected[mask] = 1 - cKDTree(outside).query(inside)[0]
    assert np.allclose(found, expected, atol=1e-5)


def test_the_boundary_loss_by_hand():
    label = torch.tensor([0, 0, 1, 1, 1, 0]).reshape(1, 1, 6, 1, 1)
    # Signed distances along the row: 2, 1, 0, -1, 0, 1.
    probs = torch.tensor([0.5, 0.2, 0.3, 0.9, 0.8, 0.1])
    logits = torch.stack([(1 - probs).log(), probs.log()]).reshape(1, 2, 6, 1, 1)
    expected = (2 * 0.5 + 1 * 0.2 - 0.9 + 0.1) / 6
    assert Boundary()(logits, label).item() == pytest.approx(expected, rel=1e-5)
    assert Boundary(torch.tensor([3.0]))(logits, label).item() == pytest.approx(3 * expected, rel=1e-5)


def test_the_boundary_loss_of_an_absent_organ_is_0():
    logits, label = random_case()
    assert Boundary()(logits, torch.zeros_like(label)) == 0


def test_the_gradient_of_the_boundary_loss_points_towards_the_organ():
    label = torch.zeros(1, 1, 8, 8, 8)
    label[..., 2:5, 2:5, 2:5] = 1
    logits = torch.zeros(1, 2, 8, 8, 8, requires_grad=True)
    Boundary()(logits, label).backward()
    direction = -logits.grad[0, 1]
    assert direction[3, 3, 3] > 0
    assert direction[7, 7, 7] < direction[5, 5, 5] < 0
