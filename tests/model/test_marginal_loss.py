import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses import DiceCELoss, DiceLoss
from torch.nn import functional as F  # noqa: N812

from segment.model.marginal_loss import marginal


def logits_of(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1, 1)


def test_logits_do_not_change_if_all_classes_are_annotated():
    logits = torch.randn(2, 3, 4, 4, 4)
    assert marginal(logits, torch.ones(2, 3, dtype=torch.bool)) is logits


def test_background_gets_the_probability_of_unknown_classes():
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    merged = marginal(logits_of(*probs.log().tolist()), torch.tensor([[True, False, True, False]]))
    assert merged.softmax(dim=1).flatten().tolist() == pytest.approx([0.1 + 0.2 + 0.4, 0, 0.3, 0])


@given(st.lists(st.booleans(), min_size=3, max_size=3), st.integers(0, 3), st.integers(0, 1000))
def test_cross_entropy_equals_that_of_the_merged_probabilities(known, target, seed):
    known = [True, *known]
    logits = torch.randn(1, 4, 1, 1, 1, generator=torch.Generator().manual_seed(seed)) * 5
    target = target if known[target] else 0
    probs = logits.softmax(dim=1).flatten().tolist()
    merged_classes = [index for index, is_known in enumerate(known) if not is_known or index == 0]
    right = sum(probs[index] for index in merged_classes) if target == 0 else probs[target]
    loss = F.cross_entropy(marginal(logits, torch.tensor([known])), torch.full((1, 1, 1, 1), target))
    assert float(loss) == pytest.approx(-math.log(right), rel=1e-4, abs=1e-5)


def test_each_case_of_a_batch_is_merged_by_its_own_annotation():
    logits = torch.randn(2, 3, 2, 2, 2)
    known = torch.tensor([[True, True, True], [True, False, True]])
    merged = marginal(logits, known)
    assert torch.equal(merged[0], logits[0])
    assert torch.allclose(merged[1].softmax(0)[0], logits[1].softmax(0)[:2].sum(0))


@pytest.mark.parametrize("criterion", [DiceCELoss, DiceLoss])
def test_predicting_an_unknown_organ_in_background_costs_nothing(criterion):
    """Predicting an unknown organ costs nothing in background, and something in a known organ."""
    loss = criterion(to_onehot_y=True, softmax=True, include_background=False, batch=True)
    label = torch.zeros(1, 1, 4, 4, 4, dtype=torch.uint8)
    label[..., 2:] = 2
    known = torch.tensor([[True, False, True]])
    logits = torch.zeros(1, 3, 4, 4, 4).scatter(1, label.long(), 20.0).requires_grad_()
    confused = logits.detach().clone()
    confused[:, 1, :, :, :2] = 40.0  # the unknown organ is predicted in the background
    right, also_right = (loss(marginal(x, known), label) for x in (logits, confused))
    assert right.item() == pytest.approx(also_right.item(), abs=1e-6)
    wrong = logits.detach().clone()
    wrong[:, 1] = 40.0  # the unknown organ is predicted everywhere
    assert float(loss(marginal(wrong, known), label)) > 0.4


def test_gradients_are_finite_in_half_precision_too():
    logits = (torch.randn(1, 4, 3, 3, 3) * 50).half().requires_grad_()
    label = torch.randint(0, 2, (1, 1, 3, 3, 3))
    loss = DiceCELoss(to_onehot_y=True, softmax=True)
    loss(marginal(logits, torch.tensor([[True, True, False, False]])), label).backward()
    assert torch.isfinite(logits.grad).all()


def test_every_level_of_deep_supervision_is_merged():
    levels = [torch.randn(1, 3, n, n, n) for n in (4, 2)]
    merged = marginal(levels, torch.tensor([[True, False, True]]))
    assert [level.shape for level in merged] == [level.shape for level in levels]
    assert all(float(level.softmax(1)[:, 1].max()) == 0 for level in merged)
