"""A CT without label as a checkpoint sees it: predicted Dice of each organ, descriptor, picture."""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.checkpoint.load_ensemble import Ensemble
from segment.curve.descriptor import Descriptor, describe
from segment.data.store.fingerprint import voxel_hash
from segment.doctor.thumbnail import draw_thumbnail
from segment.inference.confidence.confidence import Confidence
from segment.inference.confidence.features import Findings, measure_features
from segment.inference.confidence.judge import judge
from segment.io.scan import Scan
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import measure_organs

ABSENT = 0.5  # Dice of an organ that was not found, but should be in view: as likely missed (0) as truly absent (1)
DIGITS = 3
QUALITY = 78  # of WebP


@dataclass(frozen=True)
class Organ:
    """What is expected of one organ of the mask.

    Attributes:
        dice: Predicted Dice. `ABSENT` if the mask lacks the organ although the scan covers its usual place. None if the
            scan does not cover it, or it is not known whether it does.
        color: As in `Confidence`.
        reasons: Likewise.
    """

    dice: float | None
    color: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Candidate:
    """A CT that could be annotated.

    Attributes:
        voxels: Hash of its voxels.
        organs: What is expected of each organ.
        descriptor: What the CT shows, with the organs of the mask.
        picture: A coronal and an axial plane with the contours of the mask: WebP in base64.
    """

    voxels: str
    organs: Mapping[str, Organ]
    descriptor: Descriptor
    picture: str

    @property
    def dice(self) -> float | None:
        """Mean predicted Dice of the organs that have one; None if no organ has."""
        known = [organ.dice for organ in self.organs.values() if organ.dice is not None]
        return fmean(known) if known else None

    @property
    def need(self) -> float:
        """What there is to learn: 1 − mean predicted Dice. If no organ was found, all may be missed or absent."""
        return 1 - (ABSENT if self.dice is None else self.dice)

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @staticmethod
    def from_plain(content: Mapping[str, Any]) -> "Candidate":
        """The reverse of `to_plain`.

        Raises:
            KeyError: When a field is missing.
        """
        organs = {
            str(name): Organ(one["dice"], one["color"], tuple(one["reasons"]))
            for name, one in content["organs"].items()
        }
        return Candidate(content["voxels"], organs, content["descriptor"], content["picture"])


def examine(scan: Scan, trained: Ensemble, anatomy: Anatomy) -> Candidate:
    """Segment a CT as `segment predict` does, and judge and describe the mask.

    Without a calibration, the Dice is what the network's own probabilities expect; see `Evidence`.

    Args:
        scan: The CT.
        trained: The networks.
        anatomy: Usual volumes, sides and positions.
    """
    organs = trained.organs
    segmented = trained.segmenter.segment(scan, exact=False, doubted=organs)
    assert segmented.evidence is not None  # it was asked for
    mask = segmented.mask
    findings = measure_features(scan, mask, segmented.evidence, organs, anatomy)
    numbers = {organ: index for index, organ in enumerate(organs, start=1)}
    flags = {one.organ: organ_flags(one, anatomy) for one in measure_organs(scan, mask, numbers)}
    judged = judge(findings, flags, anatomy, trained.calibrated.calibration)
    return Candidate(
        voxels=voxel_hash(scan.data),
        organs={name: Organ(_dice(name, one, findings), one.color, tuple(one.reasons)) for name, one in judged.items()},
        descriptor=describe(scan, mask, organs, [True] * (1 + len(organs))),
        picture=_picture(scan, mask, trained),
    )


def _dice(organ: str, confidence: Confidence, findings: Findings) -> float | None:
    if organ not in findings.features:
        return ABSENT if findings.in_view[organ] else None
    if confidence.dice is not None:
        return confidence.dice
    expected = findings.features[organ]["expected_dice"]
    return None if math.isnan(expected) else round(expected, DIGITS)


def _picture(scan: Scan, mask: np.ndarray, trained: Ensemble) -> str:
    file = io.BytesIO()
    draw_thumbnail(scan.data, mask, scan.affine, trained.organs).save(file, "WEBP", quality=QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode()
