from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from run_commands import config
from torch import nn

from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.memory.patch_size import check_patch_size
from segment.model.vnet import VNet

NETS = sorted(path.stem for path in (Path(config_dir()) / "model" / "net").glob("*.yaml"))


def net(levels: int = 4, norm: str | None = None) -> VNet:
    return VNet(3, 2, [1] * levels, residual=True, norm=norm)


@pytest.mark.parametrize("net_name", NETS)
def test_every_network_accepts_the_proposed_size(net_name):
    torch.manual_seed(0)
    cfg = config("train", f"model/net={net_name}", "run_dir=.")
    model = instantiate(cfg.model.net)(out_channels=5)
    with pytest.raises(UserError) as failure:
        check_patch_size(model, (31, 33, 17), batch_size=1)
    size = [int(n) for n in str(failure.value).split("data.patch_size=[")[1].rstrip("]").split(",")]
    check_patch_size(model, size, batch_size=1)
    with torch.no_grad():
        logits = model.train()(torch.zeros(1, 1, *size))
    assert (logits if isinstance(logits, torch.Tensor) else logits[0]).shape == (1, 5, *size)


@pytest.mark.parametrize(
    ("size", "next_one"),
    [((60, 64, 64), [64, 64, 64]), ((65, 8, 16), [72, 8, 16]), ((4, 4, 4), [8, 8, 8])],
)
def test_the_next_size_is_a_multiple_of_eight(size, next_one):
    # Four levels halve the grid three times.
    with pytest.raises(
        UserError, match=rf"cannot take patches of \[{size[0]}, .*use data.patch_size=\[{next_one[0]}, "
    ):
        check_patch_size(net(), size, batch_size=1)
    check_patch_size(net(), next_one, batch_size=1)


def test_normalisation_needs_more_than_one_value_per_channel():
    check_patch_size(net(norm="batch"), (8, 8, 8), batch_size=2)
    with pytest.raises(UserError, match=r"use data.patch_size=\[16, 16, 16\]"):
        check_patch_size(net(norm="batch"), (8, 8, 8), batch_size=1)
    with pytest.raises(UserError, match=r"use data.patch_size=\[16, 16, 16\]"):
        check_patch_size(net(norm="instance"), (8, 8, 8), batch_size=2)


def test_inference_accepts_sizes_that_training_does_not():
    check_patch_size(net(norm="batch"), (8, 8, 8), batch_size=1, inference=True)
    with pytest.raises(
        UserError, match=r"patches of \[30, 30, 30\] voxels; use model.inferer.patch_size=\[32, 32, 32\]"
    ):
        check_patch_size(net(), (30, 30, 30), batch_size=1, inference=True)


def test_a_network_that_changes_the_size_is_refused():
    with pytest.raises(UserError, match=r"the reason is: its logits have the size \[14, 14, 14\]"):
        check_patch_size(nn.Conv3d(1, 2, 3), (16, 16, 16), batch_size=1)


def test_the_network_itself_is_not_changed():
    model = net(norm="batch").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    check_patch_size(model, (16, 16, 16), batch_size=2)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
