"""One checkpoint, or several whose networks segment as one."""

import glob
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from segment.checkpoint.load import TrainedModel, load_model
from segment.configuration.values import flat
from segment.errors import UserError
from segment.inference.ensemble import EnsembleSegmenter
from segment.inference.segmenter import Segmenter

# What members must share: what they were fed with and what becomes of their mask.
SHARED = ("organs", "preprocess", "postprocess", "tolerance_mm")


@dataclass(frozen=True)
class Ensemble:
    """TrainedModel networks, mostly one.

    Attributes:
        paths: Their checkpoints.
        members: The networks.
    """

    paths: list[Path]
    members: list[TrainedModel]

    @property
    def organs(self) -> list[str]:
        """Class i is organs[i-1]."""
        return self.members[0].organs

    @property
    def tolerance_mm(self) -> dict[str, float]:
        """Tolerance of surface scores per organ."""
        return self.members[0].module.tolerance_mm

    @property
    def segmenter(self) -> Segmenter:
        """From a CT to its mask."""
        segmenters = [member.segmenter for member in self.members]
        return EnsembleSegmenter(segmenters) if len(segmenters) > 1 else segmenters[0]

    @property
    def voxel_hashes(self) -> set[str]:
        """CTs that any member was trained or selected on, by their voxels."""
        return {value for member in self.members for value in member.facts.get("voxel_hashes", [])}

    @property
    def cases(self) -> set[str]:
        """Their ids."""
        splits: Iterable[Mapping[str, Sequence[str]]] = (member.facts.get("split", {}) for member in self.members)
        return {name for split in splits for part in ("train", "val") for name in split.get(part, [])}

    @property
    def sha256(self) -> list[str]:
        """Hash of every checkpoint."""
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.paths]

    def to(self, device: torch.device) -> None:
        """Move all networks there."""
        for member in self.members:
            member.module.to(device)


def load(ckpt: str | Sequence[str], trust: Sequence[str] = ()) -> Ensemble:
    """Rebuild the networks of one or several checkpoints.

    Args:
        ckpt: A file, a glob, or a list of them.
        trust: More modules to allow; see `segment.checkpoint.load.load_model`.

    Raises:
        UserError: When a file is missing or no such checkpoint, or when the networks do not fit together.
    """
    paths = _paths([ckpt] if isinstance(ckpt, str) else list(ckpt))
    members = [load_model(path, trust) for path in paths]
    first = _shared(members[0])
    for path, member in zip(paths[1:], members[1:], strict=True):
        other = _shared(member)
        if different := sorted(key for key in first.keys() | other.keys() if first.get(key) != other.get(key)):
            key = different[0]
            msg = (
                f"{paths[0]} and {path} cannot segment as one: {key} is {first.get(key)} in the first and "
                f"{other.get(key)} in the other; give checkpoints of runs that differ in split or seed only"
            )
            raise UserError(msg)
    return Ensemble(paths, members)


def _paths(patterns: Sequence[str]) -> list[Path]:
    paths: list[Path] = []
    for pattern in map(str, patterns):
        # Path.glob takes no absolute pattern.
        found = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        paths += map(Path, found or [pattern])  # what is missing is named when it is read
    if not paths:
        msg = "ckpt=[] names no checkpoint; give one or several, e.g. ckpt=[a.ckpt,b.ckpt]"
        raise UserError(msg)
    return paths


def _shared(member: TrainedModel) -> dict[str, Any]:
    config = member.facts["config"]
    return flat({key: config.get(key, config["model"].get(key)) for key in SHARED})
