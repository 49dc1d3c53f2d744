"""Load an exported file, which may come from a stranger."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segment.errors import UserError
from segment.exported import graph
from segment.exported.description import Description, from_json
from segment.exported.steps import build_postprocessing, build_preprocessing
from segment.inference.engines.engine import ExportedNetwork
from segment.inference.segmenter import Segmenter
from segment.inference.sliding_window import SlidingWindow

SUFFIX = ".onnx"


@dataclass(frozen=True)
class ExportedModel:
    """A network from an exported file, which segments once an engine has equipped its segmenter.

    Attributes:
        organs: Class i is organs[i-1].
        segmenter: Maps a CT to its mask.
        metadata: The description, in the form of a checkpoint's metadata. It does not list the training cases.
        tolerance_mm: Tolerance of surface scores per organ.
    """

    organs: list[str]
    segmenter: Segmenter
    metadata: dict[str, Any]
    tolerance_mm: dict[str, float]

    def to(self, device: torch.device) -> None:
        """Do nothing: engines of exported files run on the CPU."""


def is_exported(path: str | Path) -> bool:
    """Whether a path has the suffix of exported files."""
    return Path(path).suffix.lower() == SUFFIX


def read_exported(path: Path) -> ExportedModel:
    """Load an exported file. Nothing in it can run code, and nothing outside it is read.

    Raises:
        UserError: When the file is missing or is not what `segment export` writes.
    """
    if not path.is_file():
        msg = f"no such file: {path}; `segment export` writes it from a checkpoint"
        raise UserError(msg)
    try:
        return parse_exported(path.read_bytes())
    except UserError as error:
        msg = f"cannot use {path}: {error}"
        raise UserError(msg) from error


def parse_exported(content: bytes) -> ExportedModel:
    """As `read_exported`, from the bytes of a file."""
    model = graph.parse(content)
    description = from_json(graph.metadata(model))
    graph.check_graph(model, description.patch_size, 1 + len(description.organs))
    segmenter = Segmenter(
        ExportedNetwork(content, description.patch_size),
        build_preprocessing(description.preprocess),
        _inferer(description),
        build_postprocessing(description.postprocess, description.organs),
        1 + len(description.organs),
    )
    config = {
        "organs": description.organs,
        "preprocess": description.preprocess,
        "model": {"postprocess": description.postprocess, "tolerance_mm": description.tolerance_mm},
    }
    metadata = {"config": config, "exported": description.source}
    return ExportedModel(description.organs, segmenter, metadata, description.tolerance_mm)


def _inferer(description: Description) -> SlidingWindow:
    try:
        i, j, k = description.overlap
        return SlidingWindow(tuple(description.patch_size), (i, j, k))  # type: ignore[arg-type]
    except ValueError as error:
        msg = f"its windows are invalid: {error}; export the checkpoint again"
        raise UserError(msg) from error
