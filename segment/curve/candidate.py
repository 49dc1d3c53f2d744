"""A CT without label as a checkpoint sees it: predicted Dice of each organ, descriptor, picture."""

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.checkpoint.load_ensemble import Ensemble
from segment.curve.descriptor import Descriptor, describe
from segment.data.store.fingerprint import voxel_hash
from segment.doctor.thumbnail import draw_thumbnail
from segment.inference.confidence.calibration import Calibration
from segment.inference.confidence.confidence import Confidence
from segment.inference.confidence.features import Findings, measure_features
from segment.inference.confidence.judge import judge
from segment.inference.segmenter import Segmented
from segment.io.scan import Scan
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import measure_organs

OPERATED = 0.03  # assumed share of organs that are absent, mostly after surgery
NOTHING_FOUND = 0.5  # Dice of a CT without any organ: as likely all are missed (0) as the CT shows none (1)
DIGITS = 3
QUALITY = 78  # of WebP


@dataclass(frozen=True)
class Organ:
    """What is expected of one organ of the mask.

    Attributes:
        dice: Predicted Dice; None if the mask does not have the organ.
        is_missing: Whether the mask does not have it although the scan covers its usual place.
        color: As in `Confidence`.
        reasons: Likewise.
    """

    dice: float | None
    is_missing: bool
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

    def dice(self, of_missing: float) -> float:
        """Mean predicted Dice of the organs that were found or are missing; `NOTHING_FOUND` if there is none.

        Args:
            of_missing: Dice with which a missing organ counts.
        """
        known = [organ.dice for organ in self.organs.values() if organ.dice is not None]
        known += [of_missing for organ in self.organs.values() if organ.is_missing]
        return fmean(known) if known else NOTHING_FOUND

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
            str(name): Organ(one["dice"], one["is_missing"], one["color"], tuple(one["reasons"]))
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
    segmented = trained.segmenter.segment(scan, exact=False, doubted=trained.organs)
    return assess(scan, segmented, trained.organs, anatomy, trained.calibrated.calibration)


def assess(
    scan: Scan, segmented: Segmented, organs: Sequence[str], anatomy: Anatomy, calibration: Calibration | None
) -> Candidate:
    """Judge and describe a mask that was segmented with its evidence; arguments as in `Judge.of`."""
    assert segmented.evidence is not None
    mask = segmented.mask
    findings = measure_features(scan, mask, segmented.evidence, organs, anatomy)
    numbers = {organ: index for index, organ in enumerate(organs, start=1)}
    flags = {one.organ: organ_flags(one, anatomy) for one in measure_organs(scan, mask, numbers)}
    judged = judge(findings, flags, anatomy, calibration)
    return Candidate(
        voxels=voxel_hash(scan.data),
        organs={name: _organ(name, one, findings) for name, one in judged.items()},
        descriptor=describe(scan, mask, organs, [True] * (1 + len(organs))),
        picture=_picture(scan, mask, organs),
    )


def dice_of_missing(candidates: Iterable[Candidate]) -> float:
    """The Dice with which a missing organ counts: the probability that it is rightly missing, which is a Dice of 1.

    `OPERATED` of all organs in view are absent. If more are missing, the network has missed the others. For example, if
    6 % are missing, one half counts as missed. If no more are missing, all are taken to be absent.
    """
    organs = [
        organ for one in candidates for organ in one.organs.values() if organ.is_missing or organ.dice is not None
    ]
    missing = sum(organ.is_missing for organ in organs)
    return min(1.0, OPERATED * len(organs) / missing) if missing else 1.0


def _organ(name: str, confidence: Confidence, findings: Findings) -> Organ:
    features, dice = findings.features.get(name), confidence.dice
    if features is not None and dice is None and not math.isnan(features["expected_dice"]):
        dice = round(features["expected_dice"], DIGITS)
    is_missing = features is None and findings.in_view[name] is True
    return Organ(dice, is_missing, confidence.color, tuple(confidence.reasons))


def _picture(scan: Scan, mask: np.ndarray, organs: Sequence[str]) -> str:
    file = io.BytesIO()
    draw_thumbnail(scan.data, mask, scan.affine, organs).save(file, "WEBP", quality=QUALITY, method=2)
    return base64.b64encode(file.getvalue()).decode()
