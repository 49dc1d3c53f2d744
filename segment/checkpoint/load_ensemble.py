"""Load one checkpoint, or several whose networks segment together as an ensemble."""

import glob
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from segment.checkpoint.calibrated import Calibrated, calibration_path, find_calibration
from segment.checkpoint.load import TrainedModel, load_model
from segment.checkpoint.mirroring import saw_mirrored, stated_pairs
from segment.checkpoint.starter import checkpoint_path
from segment.configuration.roles import ENSEMBLE_KEYS
from segment.configuration.values import differing_keys, flatten
from segment.errors import UserError
from segment.exported.read import ExportedModel, is_exported, read_exported
from segment.files import file_sha256
from segment.inference.augmented import AugmentedSegmenter
from segment.inference.ensemble import EnsembleSegmenter
from segment.inference.segmenter import Segmenter
from segment.inference.views import MIRRORED, View, augmentation_views

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ensemble:
    """One or more trained networks.

    Attributes:
        paths: Their checkpoints or exported files.
        members: The networks.
        tta: Names of the views of each CT that are averaged with it; see `augmentation_views`.
    """

    paths: list[Path]
    members: Sequence[TrainedModel | ExportedModel]
    tta: Sequence[str] = ()

    @property
    def organs(self) -> list[str]:
        """Class i is organs[i-1]."""
        return self.members[0].organs

    @property
    def tolerance_mm(self) -> dict[str, float]:
        """Tolerance of surface scores per organ."""
        return self.members[0].tolerance_mm

    @property
    def segmenter(self) -> Segmenter:
        """Maps a CT to its mask."""
        segmenters = [member.segmenter for member in self.members]
        segmenter = EnsembleSegmenter(segmenters) if len(segmenters) > 1 else segmenters[0]
        return AugmentedSegmenter(segmenter, self._views) if self.tta else segmenter

    @property
    def views(self) -> int:
        """How many views of each CT a network segments."""
        return 1 + len(self._views)

    @property
    def _views(self) -> list[View]:
        return augmentation_views(self.tta, self.organs, stated_pairs(member.metadata for member in self.members))

    @property
    def voxel_hashes(self) -> set[str]:
        """Voxel hashes of the CTs in the training and validation set of any member."""
        hashes: set[str] = set()
        for member in self.members:
            hashes.update(member.metadata.get("voxel_hashes", []))
        return hashes

    @property
    def cases(self) -> set[str]:
        """Ids of the cases in the training and validation set of any member."""
        cases: set[str] = set()
        for member in self.members:
            split = member.metadata.get("split", {})
            for part in ("train", "val"):
                cases.update(split.get(part, []))
        return cases

    @cached_property
    def sha256(self) -> list[str]:
        """Hash of every checkpoint."""
        return list(map(file_sha256, self.paths))

    @property
    def network_sha256(self) -> list[str]:
        """Hash of the checkpoint of every network; for an exported file, of the checkpoint that it was made from."""
        found = []
        for member, sha256 in zip(self.members, self.sha256, strict=True):
            exported = member.metadata.get("exported", {})
            found.append(str(exported.get("checkpoint_sha256", sha256)))
        return found

    @cached_property
    def calibrated(self) -> Calibrated:
        """The calibration of the confidence, if there is one."""
        return find_calibration(self.paths, self.network_sha256, self.tta)

    def read_calibration(self) -> None:
        """Read the calibration now: otherwise it is read when it is needed, after the first CT was segmented.

        Raises:
            UserError: When it is damaged.
        """
        _ = self.calibrated

    @property
    def calibration_path(self) -> Path:
        """Where its calibration is, or would be."""
        return calibration_path(self.paths, self.network_sha256, self.tta)

    def to(self, device: torch.device) -> None:
        """Move all networks to a device."""
        for member in self.members:
            member.to(device)


def names_exported(ckpt: str | Sequence[str]) -> bool:
    """Whether `ckpt` names an exported file, judged by its name."""
    return any(map(is_exported, [ckpt] if isinstance(ckpt, str) else list(ckpt)))


def load(
    ckpt: str | Sequence[str], trust: Sequence[str] = (), exported: bool = False, tta: Sequence[str] = ()
) -> Ensemble:
    """Load the networks of one or several checkpoints.

    Args:
        ckpt: A file, a glob, `starter`, or a list of them.
        trust: More modules to allow; see `segment.checkpoint.load.load_model`.
        exported: Whether files of `segment export` are accepted. They do not name the cases of the training.
        tta: Views of each CT to average with it; see `augmentation_views`.

    Raises:
        UserError: When a file is missing or not a checkpoint, or when the networks differ in organs, preprocessing or
            another of `ENSEMBLE_KEYS`, or cannot segment a view.
    """
    paths = _paths([ckpt] if isinstance(ckpt, str) else list(ckpt))
    refused = [path for path in paths if is_exported(path) and not exported]
    if refused:
        msg = f"{refused[0]} is an exported file, which does not name the cases it was trained on; give its checkpoint"
        raise UserError(msg)
    members = [read_exported(path) if is_exported(path) else load_model(path, trust) for path in paths]
    first = _shared(members[0])
    for path, member in zip(paths[1:], members[1:], strict=True):
        other = _shared(member)
        differing = differing_keys(first, other)
        if differing:
            key = differing[0]
            msg = (
                f"{paths[0]} and {path} cannot form an ensemble: {key} is {first.get(key)} in the first and "
                f"{other.get(key)} in the other; give checkpoints of runs that differ in split or seed only"
            )
            raise UserError(msg)
    # Refuses unknown names.
    augmentation_views(tta, members[0].organs, stated_pairs(member.metadata for member in members))
    for path, member in zip(paths, members, strict=True):
        if MIRRORED in tta and not saw_mirrored(member.metadata):
            log.warning(
                "tta: %s does not say that it was trained on mirrored CTs; if it was not, mirroring harms", path
            )
    return Ensemble(paths, members, tuple(dict.fromkeys(tta)))


def _paths(patterns: Sequence[str]) -> list[Path]:
    paths: list[Path] = []
    for pattern in map(str, map(checkpoint_path, patterns)):
        # Path.glob does not accept absolute patterns.
        found = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        paths += map(Path, found or [pattern])  # reading the file reports that it is missing
    if not paths:
        msg = "ckpt=[] names no checkpoint; give one or several, e.g. ckpt=[a.ckpt,b.ckpt]"
        raise UserError(msg)
    return paths


def _shared(member: TrainedModel | ExportedModel) -> dict[str, Any]:
    """The settings that all members of an ensemble must share, by dotted keys."""
    config = member.metadata["config"]
    return flatten({key: config.get(key, config["model"].get(key)) for key in ENSEMBLE_KEYS})
