"""Scores of each organ of one case, on the CT's own grid."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from segment.errors import UserError
from segment.metrics.definitions import METRICS

Surface = tuple[np.ndarray, np.ndarray]  # positions (N,3) in voxels, areas (N,) in mm²

# Bits of the 2×2×2 neighbourhood, in the order that the table of surface areas uses.
_CORNER_BITS = 128 >> np.arange(8).reshape(2, 2, 2)


@dataclass(frozen=True)
class OrganScore:
    """Scores of one organ of one case.

    If the case does not annotate the organ, all scores and `volume_ml_reference` are NaN.

    Attributes:
        organ: Name of the organ.
        dice: 2|P∩T| / (|P|+|T|) over all voxels of the scan. NaN if the organ is in neither prediction nor reference, 0
            if it is in only one of them.
        hd95_mm: Robust Hausdorff distance. For each of the two surfaces, 95 % of its area is within some distance of
            the other surface; the score is the larger of the two distances. Weighted by area as in DeepMind's
            surface-distance; tools that count boundary voxels (MONAI, MedPy) give other numbers. NaN if the organ is
            missing from prediction or reference, because there is no distance (DeepMind returns inf). dice and nsd are
            then 0 or NaN.
        nsd: Normalised surface distance, also called surface Dice: the share of the area of both surfaces that is
            within the organ's tolerance of the other surface (Nikolov et al. 2021, doi:10.2196/26151). NaN or 0 in the
            same cases as dice.
        volume_ml_reference: Volume of the reference.
        volume_ml_pred: Volume of the prediction.
    """

    organ: str
    dice: float
    hd95_mm: float
    nsd: float
    volume_ml_reference: float
    volume_ml_pred: float

    @property
    def is_failure(self) -> bool:
        """Whether only one of prediction and reference contains the organ: Dice is 0 and there is no distance."""
        return math.isnan(self.hd95_mm) and not math.isnan(self.dice)


def score_case(
    pred: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    tolerance_mm: Mapping[str, float],
    annotated: Sequence[bool] | None = None,
) -> list[OrganScore]:
    """Score the mask of one case.

    In a sheared grid, areas and the nearest point of a surface are computed as if the grid had no shear, with the same
    edge lengths. The distance to that point is exact. Without shear, all scores equal those of surface-distance.

    Args:
        pred: Class indices (I,J,K).
        reference: Class indices of the same shape.
        affine: (4,4) voxel → mm of the grid of both.
        organs: Class i is organs[i-1].
        tolerance_mm: Distance up to which two surfaces count as equal, for each organ.
        annotated: Whether each class is annotated, background first; None: all are.

    Returns:
        One score per organ, in their order.

    Raises:
        ValueError: When the shapes differ.
        UserError: When an organ has no tolerance.
    """
    missing = [organ for organ in organs if organ not in tolerance_mm]
    if missing:
        msg = f"tolerance_mm has no value for {', '.join(missing)}; add it in mm: +tolerance_mm.{missing[0]}=3"
        raise UserError(msg)
    if pred.shape != reference.shape:
        msg = f"prediction and reference must have the same shape, got {pred.shape} and {reference.shape}"
        raise ValueError(msg)
    # The triangular factor keeps the lengths of a voxel's edges and the angles between them, without the rotation. It
    # is diagonal if there is no shear. It is rounded, because float32 headers store 0.6 mm as 0.60000002. Two
    # surfaces at exactly the tolerance would then be too far apart.
    edges_mm = np.linalg.qr(affine[:3, :3])[1].round(6)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    scores = []
    for index, organ in enumerate(organs, start=1):
        mask = pred == index
        if annotated is None or annotated[index]:
            score = _score_organ(organ, mask, reference == index, edges_mm, voxel_ml, tolerance_mm[organ])
        else:
            nan = math.nan
            score = OrganScore(organ, nan, nan, nan, nan, volume_ml_pred=np.count_nonzero(mask) * voxel_ml)
        scores.append(score)
    return scores


def mean_scores(cases: Iterable[Sequence[OrganScore]]) -> dict[str, float]:
    """Means over patients, `<score>/<organ>`, and the means of these over organs, `<score>/mean`.

    The scores are those of `METRICS`, e.g. `dice/liver`. NaN is left out of all means. A score that no patient has
    is NaN. Without any case the result is empty.
    """
    by_organ: dict[str, list[OrganScore]] = {}
    for case in cases:
        for score in case:
            by_organ.setdefault(score.organ, []).append(score)
    means: dict[str, float] = {}
    for name in METRICS:
        organ_means = []
        for organ, scores in by_organ.items():
            organ_means.append(nan_mean(getattr(score, name) for score in scores))
            means[f"{name}/{organ}"] = organ_means[-1]
        if organ_means:
            means[f"{name}/mean"] = nan_mean(organ_means)
    return means


def _score_organ(
    organ: str, pred: np.ndarray, reference: np.ndarray, edges_mm: np.ndarray, voxel_ml: float, tolerance_mm: float
) -> OrganScore:
    count_pred, count_reference = int(np.count_nonzero(pred)), int(np.count_nonzero(reference))
    volumes = {"volume_ml_reference": count_reference * voxel_ml, "volume_ml_pred": count_pred * voxel_ml}
    if count_pred == 0 or count_reference == 0:
        share = math.nan if count_pred == count_reference else 0.0
        return OrganScore(organ, dice=share, hd95_mm=math.nan, nsd=share, **volumes)
    box = _bounding_box(pred | reference)
    pred, reference = pred[box], reference[box]
    dice = 2 * int(np.count_nonzero(pred & reference)) / (count_pred + count_reference)
    spacing_mm = np.linalg.norm(edges_mm, axis=0)
    hd95_mm, nsd = _surface_scores(_surface(pred, spacing_mm), _surface(reference, spacing_mm), edges_mm, tolerance_mm)
    return OrganScore(organ, dice=dice, hd95_mm=hd95_mm, nsd=nsd, **volumes)


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around a mask that is not empty."""
    box = []
    for axis in range(3):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return tuple(box)


def _surface(mask: np.ndarray, spacing_mm: np.ndarray) -> Surface:
    """Surface elements of a mask: voxel corners with some, but not all, of their eight neighbours in the mask.

    Everything outside the array counts as outside the organ, so an organ has a closed surface at the border of a scan.
    """
    # Imported here, because importing MONAI takes seconds and reading a table does not need it.
    from monai.metrics.utils import create_table_neighbour_code_to_surface_area

    padded = np.pad(mask, 1).astype(np.uint8)
    size = np.array(padded.shape) - 1
    code = np.zeros(size, np.uint8)
    for corner, bit in np.ndenumerate(_CORNER_BITS):
        code |= padded[tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))] * np.uint8(bit)
    position = np.argwhere((code != 0) & (code != 255))
    area_mm2 = create_table_neighbour_code_to_surface_area(spacing_mm.tolist())[0].double().numpy()
    return position, area_mm2[code[tuple(position.T)]]


def _surface_scores(
    pred: Surface, reference: Surface, edges_mm: np.ndarray, tolerance_mm: float
) -> tuple[float, float]:
    """HD95 in mm, and NSD, of two surfaces."""
    hd95_mm, near_mm2, total_mm2 = 0.0, 0.0, 0.0
    for (position, area), (other, _) in ((pred, reference), (reference, pred)):
        distance_mm = np.linalg.norm(_to_nearest(position, other, edges_mm) @ edges_mm.T, axis=1)
        near_mm2 += float(area[distance_mm <= tolerance_mm].sum())
        total_mm2 += float(area.sum())
        order = np.argsort(distance_mm)
        index = int(np.searchsorted(np.cumsum(area[order]) / area.sum(), 0.95))
        hd95_mm = max(hd95_mm, float(distance_mm[order[min(index, len(order) - 1)]]))
    return hd95_mm, near_mm2 / total_mm2


def _to_nearest(position: np.ndarray, other: np.ndarray, edges_mm: np.ndarray) -> np.ndarray:
    """Steps (N,3) in voxels from points of one surface to the nearest points of the other.

    This uses a distance transform, whose time and memory depend only on the size of the box. A search tree is a little
    faster for good masks, but takes minutes for the noisy masks of an untrained network.
    """
    background = np.ones(np.maximum(position.max(axis=0), other.max(axis=0)) + 1, dtype=bool)
    background[tuple(other.T)] = False
    # Indices take half the time and a third of the memory of distances, and integer steps are exact.
    nearest: np.ndarray = distance_transform_edt(
        background, sampling=np.linalg.norm(edges_mm, axis=0), return_distances=False, return_indices=True
    )
    steps: np.ndarray = position - nearest[(slice(None), *position.T)].T
    return steps


def nan_mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN, without a warning, if there are none."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
