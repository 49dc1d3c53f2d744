import re

import pytest
import torch
from torch import nn

from segment.errors import UserError
from segment.memory import measure
from segment.memory.network import activations, check_batch, check_step, check_weights, pass_bytes, step_bytes
from segment.model.vnet import VNet

CPU = torch.device("cpu")


def net(width: int = 4) -> VNet:
    return VNet(3, width, [1, 1, 1], residual=True, norm="instance")


@pytest.fixture
def free(monkeypatch):
    def set_to(count: float) -> None:
        monkeypatch.setattr(measure, "free", lambda _: int(count))

    return set_to


def test_memory_is_proportional_to_voxels_and_a_pass_needs_less_than_a_step():
    # A batch of 2, because convolutions of a single small image need more memory.
    small, large = (step_bytes(net(16), 2, (n, n, n)) for n in (32, 64))
    assert 7 < large / small < 9
    assert 1.8 < step_bytes(net(16), 4, (32, 32, 32)) / small < 2.2
    assert pass_bytes(net(16), 2, (32, 32, 32)) < small / 2
    assert step_bytes(net(16), 2, (64, 64, 64), torch.bfloat16) < 0.8 * large


def test_a_gpu_reserves_whole_segments_besides_batch_and_averages():
    network = net(16)
    averages = 2 * 4 * sum(weight.numel() for weight in network.parameters())
    needed = step_bytes(network, 2, (64, 64, 64), on_gpu=True) - averages - 5 * 2 * 64**3
    assert needed % 2**21 == 0
    assert 0.7 < needed / step_bytes(network, 2, (64, 64, 64)) < 1.4


def test_a_network_that_depends_on_values_is_not_checked():
    class ValueDependent(nn.Conv3d):
        def forward(self, x):
            return super().forward(x) if x.sum().item() > 0 else x

    assert step_bytes(ValueDependent(1, 2, 1), 1, (8, 8, 8)) == 0
    check_step(ValueDependent(1, 2, 1), 1, (8, 8, 8), CPU)


def test_a_smaller_batch_is_proposed_and_fits(free):
    free(1.5 * step_bytes(net(), 2, (32, 32, 32)))
    check_step(net(), 2, (32, 32, 32), CPU)
    with pytest.raises(UserError, match=r"GB are free; data.batch_size=\d would fit") as refusal:
        check_step(net(), 8, (32, 32, 32), CPU)
    proposed = int(re.findall(r"batch_size=(\d+)", str(refusal.value))[-1])
    assert 1 <= proposed < 8
    check_step(net(), proposed, (32, 32, 32), CPU)


@pytest.mark.parametrize("size", [(128, 128, 128), (512, 512, 512), (10**7, 10**7, 10**7)])
def test_a_smaller_patch_is_proposed_and_fits(free, size):
    free(1.5 * step_bytes(net(), 1, (64, 64, 64)))
    with pytest.raises(UserError, match=r"GB are free; data.patch_size=\[\d+, \d+, \d+\] would fit") as refusal:
        check_step(net(), 1, size, CPU)
    proposed = [int(n) for n in re.findall(r"\[(\d+), (\d+), (\d+)\]", str(refusal.value))[-1]]
    assert min(proposed) >= 32
    check_step(net(), 1, proposed, CPU)


def test_patches_waiting_in_the_loader_are_counted(free):
    free(10**6)
    check_batch(1, (32, 32, 32), 1)  # 3 · 163 840 + 2 · 131 072 bytes
    with pytest.raises(UserError, match=r"data.batch_size=1 and data.num_workers=9 needs 0.00547 GB"):
        check_batch(1, (32, 32, 32), 9)


def test_a_huge_network_is_refused_before_it_is_built(free):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    check_weights(lambda out_channels: net(), 3)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(UserError, match=r"weights needs .* GB of memory, .*; make it narrower"):
        check_weights(lambda out_channels: nn.Linear(10**7, 10**7), 3)  # 400 TB


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("32-true", torch.float32),
        ("16-mixed", torch.bfloat16),
        ("bf16-true", torch.bfloat16),
        ("64-true", torch.float64),
    ],
)
def test_the_type_of_activations(precision, dtype):
    assert activations(precision) == dtype
