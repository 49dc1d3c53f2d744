import pytest
import torch

from segment.errors import UserError
from segment.inference.device import find_device


def test_devices_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == find_device("cpu") == torch.device("cpu")
    for name in ("cuda:7", "gpu", "tpu0"):
        with pytest.raises(UserError, match=f"device={name} is not available on this machine"):
            find_device(name)
