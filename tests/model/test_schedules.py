import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, PolynomialLR

from segment.errors import UserError
from segment.model.module import SegmentationModule
from segment.model.schedules import Cosine, CosineToConstant, OneCycle, Poly, WarmupCosine, WarmupPoly


def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.2)


def rates(make, total):
    """Learning rate at every step, and after the last one."""
    sgd = optimizer()
    scheduler = make(sgd)
    found = []
    for _ in range(total):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        scheduler.step()
    return [*found, sgd.param_groups[0]["lr"]]


def test_warmup_cosine_is_a_linear_warm_up_and_half_a_cosine_wave():
    found = rates(lambda sgd: WarmupCosine(sgd, 10, warmup=0.2), 10)
    wave = [0.1 * (1 + math.cos(math.pi * step / 8)) for step in range(9)]
    assert found == pytest.approx([0.1, 0.2, *wave])
    assert found[-1] == 0


def test_warmup_poly_is_a_linear_warm_up_and_a_power():
    found = rates(lambda sgd: WarmupPoly(sgd, 10, warmup=0.2, power=0.9), 10)
    assert found == pytest.approx([0.1, 0.2, *[0.2 * (1 - step / 8) ** 0.9 for step in range(9)]])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda sgd: Cosine(sgd, 8), lambda sgd: CosineAnnealingLR(sgd, 8)),
        (lambda sgd: Poly(sgd, 8, 0.9), lambda sgd: PolynomialLR(sgd, 8, power=0.9)),
    ],
)
def test_schedules_by_epochs_equal_torch(ours, theirs):
    assert rates(ours, 8) == pytest.approx(rates(theirs, 8), abs=1e-12)


@pytest.mark.parametrize("make", [Cosine, lambda sgd, epochs: Poly(sgd, epochs, 0.9)])
@pytest.mark.parametrize("epochs", [None, -1, 0])
def test_schedules_by_epochs_need_the_number_of_epochs(make, epochs):
    with pytest.raises(UserError, match=f"trainer.max_epochs is {epochs}; set it, or give scheduler=none"):
        make(optimizer(), epochs)


@given(st.integers(10, 200), st.sampled_from([0.2, 0.3, 0.5]))
def test_one_cycle_equals_torch(total, rise):
    found = rates(lambda sgd: OneCycle(sgd, total, rise), total - 1)
    reference = rates(
        lambda sgd: OneCycleLR(sgd, max_lr=0.2, total_steps=total, pct_start=rise, cycle_momentum=False), total - 1
    )
    assert found == pytest.approx(reference, abs=1e-9)


def test_cosine_to_constant_is_half_a_wave_and_a_constant():
    found = rates(lambda sgd: CosineToConstant(sgd, 8, start=0.5, floor=0.1), 8)
    wave = [0.2 * (0.1 + 0.9 * (1 + math.cos(math.pi * step / 4)) / 2) for step in range(4)]
    assert found == pytest.approx([*wave, *[0.02] * 5])


SCHEDULES = [
    Cosine,
    lambda sgd, total: Poly(sgd, total, 0.9),
    lambda sgd, total: WarmupCosine(sgd, total, 0.1),
    lambda sgd, total: WarmupPoly(sgd, total, 0.1, 0.9),
    lambda sgd, total: OneCycle(sgd, total, 0.3),
    lambda sgd, total: CosineToConstant(sgd, total, 0.75, 0.1),
]


@given(st.sampled_from(SCHEDULES), st.integers(1, 40))
def test_learning_rates_stay_in_range_for_any_length(make, total):
    found = rates(lambda sgd: make(sgd, total), total + 3)  # a run may have more steps than expected
    assert all(0 <= rate <= 0.2 + 1e-12 for rate in found)


@pytest.mark.parametrize("make", SCHEDULES)
def test_a_run_resumed_with_more_epochs_follows_the_longer_curve(make):
    whole = rates(lambda sgd: make(sgd, 20), 20)
    sgd = optimizer()
    first = make(sgd, 10)
    for _ in range(5):
        sgd.step()
        first.step()
    later = optimizer()
    scheduler = make(later, 20)
    later.load_state_dict(sgd.state_dict())
    scheduler.load_state_dict(first.state_dict())
    assert later.param_groups[0]["lr"] == scheduler.get_last_lr()[0] == whole[5]
    later.step()
    scheduler.step()
    assert later.param_groups[0]["lr"] == whole[6]


def test_schedules_by_steps_need_the_number_of_epochs():
    trainer = SimpleNamespace(estimated_stepping_batches=math.inf, max_epochs=-1)
    with pytest.raises(UserError, match=r"schedule needs the number of epochs; set trainer\.max_epochs, now -1"):
        SegmentationModule._total_steps(SimpleNamespace(trainer=trainer))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=3), "ReduceLROnPlateau depends on a score"),
        (
            partial(OneCycleLR, max_lr=0.1, total_steps=100),
            "total_steps follows from the number of epochs; leave it out",
        ),
    ],
)
def test_schedulers_that_cannot_work_are_refused(make, message):
    module = SimpleNamespace(
        net=torch.nn.Linear(1, 1), make_optimizer=partial(torch.optim.SGD, lr=0.1), make_scheduler=make
    )
    with pytest.raises(UserError, match=message):
        SegmentationModule.configure_optimizers(module)


@pytest.mark.parametrize("make", SCHEDULES)
def test_a_finished_run_resumed_with_more_epochs_does_not_train_at_rate_0(make):
    whole = rates(lambda sgd: make(sgd, 8), 8)
    sgd = optimizer()
    first = make(sgd, 4)
    for _ in range(4):
        sgd.step()
        first.step()
    later = optimizer()
    scheduler = make(later, 8)
    later.load_state_dict(sgd.state_dict())
    scheduler.load_state_dict(first.state_dict())
    assert later.param_groups[0]["lr"] == whole[4] > 0
