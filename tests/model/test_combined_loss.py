import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn
from torch.nn import functional as F  # noqa: N812

from segment.errors import UserError
from segment.model.combined_loss import DeepSupervision, Ramp, Sum, as_module, class_weights, set_epoch


def mean_of_first_class(logits, label):
    """A criterion that is easy to compute by hand."""
    assert logits.dtype == torch.float32
    assert logits.shape[2:] == label.shape[2:]
    return logits[:, 0].mean() + label.float().mean()


def test_a_single_tensor_is_one_level():
    logits, label = torch.full((1, 2, 4, 4, 4), 3.0), torch.ones(1, 1, 4, 4, 4, dtype=torch.uint8)
    assert DeepSupervision(mean_of_first_class)(logits, label) == 4.0


def test_each_level_has_half_the_weight_of_the_finer_one():
    levels = [torch.full((1, 2, n, n, n), value) for n, value in ((8, 1.0), (4, 2.0), (2, 4.0))]
    label = torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8)
    loss = DeepSupervision(mean_of_first_class)(levels, label)
    assert loss == pytest.approx((1 * 1 + 2 / 2 + 4 / 4) / 1.75)


def test_labels_of_coarse_levels_use_nearest_neighbour():
    label = torch.zeros(1, 1, 4, 4, 4, dtype=torch.uint8)
    label[..., 2:] = 3
    seen = []
    DeepSupervision(lambda logits, small: (seen.append(small), logits.mean())[1])([torch.zeros(1, 2, 2, 2, 2)], label)
    assert seen[0].unique().tolist() == [0, 3]
    assert seen[0][..., 0].eq(0).all()
    assert seen[0][..., 1].eq(3).all()


def default() -> DeepSupervision:
    return DeepSupervision(DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True))


def test_perfect_logits_have_nearly_no_loss():
    label = torch.randint(0, 3, (2, 1, 6, 6, 6), dtype=torch.uint8)
    logits = 50.0 * F.one_hot(label[:, 0].long(), 3).movedim(-1, 1).float()
    assert float(default()(logits, label)) < 0.01


def test_half_precision_does_not_overflow():
    label = torch.ones(1, 1, 48, 48, 48, dtype=torch.uint8)  # sums of 110,592 ones are infinite in float16
    logits = torch.zeros(1, 2, 48, 48, 48, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = default()(logits, label)
    # Cross-entropy of two equal logits is ln 2; Dice with p = 1/2 everywhere is 1 - 2·½/(½ + 1) = 1/3.
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(0.6931 + 1 / 3, abs=1e-3)


class Constant(nn.Module):
    """A constant criterion with a gradient of 0 for the logits."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, logits, label):
        return logits.sum() * 0 + self.value


LOGITS, LABEL = torch.zeros(1, 2, 1, 1, 1, requires_grad=True), torch.zeros(1, 1, 1, 1, 1)


def test_terms_are_added():
    assert Sum({"one": Constant(2.0), "other": Constant(0.5)})(LOGITS, LABEL) == 2.5


def test_a_ramp_is_linear_between_two_epochs():
    ramp = Ramp(Constant(10.0), start_weight=0.0, end_weight=0.5, start_epoch=2, end_epoch=6)
    criterion = DeepSupervision(Sum({"ramp": ramp}))
    found = []
    for epoch in (0, 2, 3, 4, 6, 9):
        set_epoch(criterion, epoch)
        found.append(criterion(LOGITS, LABEL).item())
    assert found == pytest.approx([0, 0, 1.25, 2.5, 5, 5])
    set_epoch(criterion, 3)
    assert criterion(LOGITS, LABEL).item() == pytest.approx(1.25)  # earlier epochs have no effect


def test_a_ramp_with_weight_0_skips_its_criterion_and_has_a_gradient():
    def explode(logits, label):
        raise AssertionError

    loss = Ramp(explode, 0.0, 1.0, 0, 1)(LOGITS, LABEL)
    loss.backward()
    assert loss == 0


def test_a_ramp_must_end_after_its_start():
    with pytest.raises(UserError, match="end_epoch=3 must come after its start_epoch=3"):
        Ramp(Constant(1.0), 0.0, 1.0, 3, 3)


def test_class_weights_are_ordered_by_class():
    organs = ["liver", "spleen"]
    assert class_weights(None, organs) is None
    assert class_weights({"spleen": 2, "background": 0.5}, organs).tolist() == [0.5, 1, 2]
    assert class_weights({"spleen": 2}, organs, include_background=False).tolist() == [1, 2]
    with pytest.raises(UserError, match=r"aorta, which is none of .*; take it out or add it to organs"):
        class_weights({"aorta": 2}, organs)
    with pytest.raises(UserError, match="liver is -1; a weight is 0 or more"):
        class_weights({"liver": -1}, organs)


def test_a_criterion_may_be_a_function():
    criterion = Sum({"a": as_module(lambda logits, label: logits.sum()), "b": lambda logits, label: label.sum()})
    set_epoch(criterion, 1)
    assert criterion(torch.ones(2), torch.ones(3)) == 5
