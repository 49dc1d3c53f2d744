"""Convert a network to ONNX, in memory."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

INPUT, OUTPUT = "image", "logits"


def to_onnx(net: nn.Module, example: Tensor) -> bytes:
    """The network as an ONNX model for windows of the example's size, with its weights in float32.

    Args:
        net: In evaluation mode, on the CPU.
        example: (1,1,I,J,K).

    Raises:
        Exception: Of many types, when an operation has no counterpart in ONNX.
    """
    with _quiet():
        program = torch.onnx.export(
            net, (example,), dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False
        )
    assert program is not None  # it is None only if a file is given
    model: bytes = program.model_proto.SerializeToString()
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporter's log, which is about its own steps, and its deprecation warnings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
