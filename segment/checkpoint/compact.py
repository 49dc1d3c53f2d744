"""Small checkpoints for sharing: the weights in half precision and what `segment predict` needs beside them."""

import io
from pathlib import Path
from typing import Any

import torch

from segment.checkpoint.load import read_checkpoint
from segment.files import atomic_write


def write_compact(source: Path, target: Path) -> None:
    """Write the weights of a checkpoint in float16, with its organs, preprocessing and network, atomically.

    The state of the optimizer and of the loops is left out, so a run cannot resume from the file. It has about an
    eighth of the size. The same checkpoint always gives the same bytes.

    Args:
        source: A checkpoint of `segment train`.
        target: The file to write.

    Raises:
        UserError: When the source is no such checkpoint.
    """
    content = read_checkpoint(source)
    state = {name: _half(value) for name, value in content["state_dict"].items()}
    buffer = io.BytesIO()  # in a file, torch would store the file's name, and the bytes would depend on it
    torch.save({"state_dict": state, "segment": content["segment"], "global_step": content["global_step"]}, buffer)
    with atomic_write(target) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _half(value: Any) -> Any:  # noqa: ANN401
    """A float tensor in float16 if all of its values fit; anything else, for example a counter, as it is."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    half = value.half()
    # Running variances may exceed 65504. As infinity, they would turn the output of their layer into a constant.
    return half if torch.equal(half.isfinite(), value.isfinite()) else value
