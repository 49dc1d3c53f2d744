"""Checkpoints that claim more than they hold, or hold code."""

import os
import pickle
import zipfile

import pytest
import tiny
import torch

from segment.checkpoint.load import load_model
from segment.errors import UserError


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("is_zipped", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, is_zipped):
    path, code = tmp_path / "x.ckpt", Code(f"touch {tmp_path / 'mark'}")
    content = {"segment": {"config": tiny.config()}, "state_dict": {}, "x": code}
    if is_zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match=r"cannot read .*x\.ckpt"):
        load_model(path)
    assert not (tmp_path / "mark").exists()


def test_compressed_parts_are_refused(tmp_path):
    """A few kilobytes could unpack to terabytes."""
    with zipfile.ZipFile(tiny.write_checkpoint(tmp_path / "x.ckpt")) as original:
        parts = {name: original.read(name) for name in original.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in parts.items():
            bomb.writestr(name, content + (bytes(10_000_000) if name.endswith("data/0") else b""))
    assert (tmp_path / "bomb.ckpt").stat().st_size < 100_000
    with pytest.raises(UserError, match=r"bomb.ckpt has compressed parts, which unpack to 0.01 GB"):
        load_model(tmp_path / "bomb.ckpt")


def test_a_network_that_is_larger_than_its_weights_is_not_built(tmp_path):
    config = tiny.config()
    config["model"]["net"]["kernel_size"] = 10_000  # 12 TB of weights
    with pytest.raises(UserError, match=r"describes a network of 3,000,000,000,003 weights, but holds 6; do not use"):
        load_model(tiny.write_checkpoint(tmp_path / "x.ckpt", config))
    load_model(tiny.write_checkpoint(tmp_path / "y.ckpt"))
