"""Find the device that runs a network, by its name."""

import torch

from segment.errors import UserError


def find_device(name: str) -> torch.device:
    """The device with this name; `auto` is the GPU if there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        msg = f"device={name} is not available on this machine; use device=cpu or device=auto"
        raise UserError(msg) from error
