"""Turn a checkpoint into an exported file."""

from dataclasses import replace
from importlib import metadata as installed
from pathlib import Path

import torch

from segment import __version__
from segment.checkpoint.load import TrainedModel
from segment.errors import UserError, reason_of
from segment.exported import graph
from segment.exported.description import KEY, ORGAN_NAMES, Description, is_organ_name
from segment.exported.steps import describe_postprocessing, describe_preprocessing
from segment.files import file_sha256
from segment.inference.engines.to_onnx import to_onnx
from segment.inference.sliding_window import SlidingWindow


def describe(trained: TrainedModel, checkpoint: Path) -> Description:
    """Everything but the network and its agreement.

    Raises:
        UserError: When a step, the inferer or the name of an organ cannot be exported.
    """
    odd = [organ for organ in trained.organs if not is_organ_name(organ)]
    if odd:
        msg = f"{checkpoint} segments {odd[0]!r}; names in exported files {ORGAN_NAMES}; use the checkpoint itself"
        raise UserError(msg)
    segmenter = trained.segmenter
    inferer = segmenter.inferer
    if not isinstance(inferer, SlidingWindow):
        msg = f"{checkpoint} has the inferer {type(inferer).__name__}; exported files know SlidingWindow only"
        raise UserError(msg)
    versions = {name: installed.version(name) for name in ("torch", "onnx", "onnxscript")}
    return Description(
        organs=trained.organs,
        preprocess=describe_preprocessing(segmenter.transform),
        patch_size=list(inferer.patch_size),
        overlap=list(inferer.overlap),
        postprocess=describe_postprocessing(segmenter.postprocess),
        tolerance_mm={organ: float(trained.tolerance_mm[organ]) for organ in trained.organs},
        source={"checkpoint_sha256": file_sha256(checkpoint), "segment": __version__, **versions},
        agreement={},
    )


def network(trained: TrainedModel, description: Description) -> bytes:
    """The network as an ONNX model for one window.

    Raises:
        UserError: When it has an operation without a counterpart in ONNX.
    """
    example = torch.zeros(1, 1, *description.patch_size)
    try:
        model = graph.parse(to_onnx(trained.net, example))
    except Exception as error:  # the exporter raises errors of many types
        name = type(trained.net).__name__
        msg = f"the network {name} cannot be converted to ONNX: {reason_of(error)}; use its checkpoint"
        raise UserError(msg) from error
    graph.clean(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def with_description(model: bytes, description: Description, agreement: dict[str, float | None]) -> bytes:
    """The content of an exported file."""
    parsed = graph.parse(model)
    entry = parsed.metadata_props.add()
    entry.key, entry.value = KEY, replace(description, agreement=agreement).to_json()
    content: bytes = parsed.SerializeToString(deterministic=True)
    return content
