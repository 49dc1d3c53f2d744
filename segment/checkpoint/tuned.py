"""Write a checkpoint with another post-processing."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from segment.checkpoint.load import read_checkpoint
from segment.files import atomic_write

CLEAN_UP = "segment.inference.postprocess.clean_up.CleanUp"


def write_tuned(
    source: Path, target: Path, steps: Mapping[str, Any], left_out: Mapping[str, Sequence[str]], seen: Mapping[str, str]
) -> None:
    """Copy a checkpoint with other post-processing, atomically.

    The cases that chose it become part of the checkpoint's validation set, so that later evaluations leave them out.

    Args:
        source: A checkpoint of `segment train`.
        target: The file to write.
        steps: Steps of the post-processing as plain values, by name.
        left_out: Organs that each step leaves as they are.
        seen: Voxel hashes of the cases that chose the steps, by id.

    Raises:
        UserError: When the source is no such checkpoint.
    """
    content = read_checkpoint(source)
    metadata = copy.deepcopy(content["segment"])
    organs = list(metadata["config"]["organs"])
    clean_up = {"_target_": CLEAN_UP, "organs": organs, "steps": dict(steps), "left_out": dict(left_out)}
    metadata["config"]["model"]["postprocess"] = clean_up
    metadata["voxel_hashes"] = sorted({*metadata.get("voxel_hashes", []), *filter(None, seen.values())})
    split = metadata.setdefault("split", {})
    split["val"] = sorted({*split.get("val", []), *seen})
    with atomic_write(target) as temporary:
        torch.save({**content, "segment": metadata}, temporary)
