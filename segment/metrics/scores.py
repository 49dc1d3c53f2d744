"""Scores of one case, per organ, on the CT's own grid."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from segment.errors import UserError

Surface = tuple[np.ndarray, np.ndarray]  # positions (N,3) in voxels, areas (N,) in mm²

# Bits of the 2×2×2 neighbourhood, as the table of surface areas reads them.
_CORNER_BITS = 128 >> np.arange(8).reshape(2, 2, 2)


@dataclass(frozen=True)
class OrganScore:
    """How well one organ of one case was found.

    Attributes:
        organ: Its name.
        dice: 2|P∩T| / (|P|+|T|) over all voxels of the scan. NaN when prediction and reference have none of the organ,
            0 when only one has it. NaN, like the other scores and the true volume, where the reference lacks it.
        hd95_mm: Robust Hausdorff distance: for each of the two surfaces the distance to the other below which 95 % of
            its area lies; the larger of the two. Weighted by area as DeepMind's surface-distance does; tools that
            count boundary voxels (MONAI, MedPy) give other numbers. NaN when prediction or reference have none of the
            organ: there is no distance then (DeepMind returns inf), and dice and nsd show the failure as 0.
        nsd: Normalised surface distance, also called surface Dice: share of both surfaces' area that lies within the
            organ's tolerance of the other surface (Nikolov et al. 2021, doi:10.2196/26151). Empty cases as dice.
        volume_ml_true: Volume of the reference.
        volume_ml_pred: Volume of the prediction.
    """

    organ: str
    dice: float
    hd95_mm: float
    nsd: float
    volume_ml_true: float
    volume_ml_pred: float


def score_case(
    pred: np.ndarray,
    reference: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    tolerance_mm: Mapping[str, float],
    annotated: Sequence[bool] | None = None,
) -> list[OrganScore]:
    """Score the mask of one case.

    In a sheared grid the nearest point of a surface is sought, and areas are taken, as if voxels of that size were
    upright; the distance to that point is the true one. Without shear everything equals surface-distance.

    Args:
        pred: Class indices (I,J,K).
        reference: Class indices of the same shape.
        affine: (4,4) voxel → mm of their common grid.
        organs: Class i is organs[i-1].
        tolerance_mm: Distance at which two surfaces still count as equal, for every organ.
        annotated: Whether each class is known, background first; None: all are.

    Returns:
        One score per organ, in their order.

    Raises:
        ValueError: When the shapes differ.
        UserError: When an organ has no tolerance.
    """
    if missing := [organ for organ in organs if organ not in tolerance_mm]:
        msg = f"tolerance_mm has no value for {', '.join(missing)}; add it in mm: +tolerance_mm.{missing[0]}=3"
        raise UserError(msg)
    if pred.shape != reference.shape:
        msg = f"prediction and reference must lie on one grid, got shapes {pred.shape} and {reference.shape}"
        raise ValueError(msg)
    # The triangular factor keeps lengths and angles of the voxel's edges and drops its rotation, so it is diagonal
    # unless sheared. Rounded because float32 headers hold 0.6 mm as 0.60000002, which would put surfaces that are
    # exactly the tolerance apart beyond it.
    edges_mm = np.linalg.qr(affine[:3, :3])[1].round(6)
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    return [
        _score_organ(organ, pred == index, reference == index, edges_mm, voxel_ml, tolerance_mm[organ])
        if annotated is None or annotated[index]
        else OrganScore(organ, math.nan, math.nan, math.nan, math.nan, np.count_nonzero(pred == index) * voxel_ml)
        for index, organ in enumerate(organs, start=1)
    ]


def mean_scores(cases: Iterable[Sequence[OrganScore]]) -> dict[str, float]:
    """Means over patients, `<score>/<organ>`, and their means over organs, `<score>/mean`, NaN left out throughout.

    Scores are dice, hd95_mm and nsd. What no patient has is NaN; without any case the result is empty.
    """
    by_organ: dict[str, list[OrganScore]] = {}
    for case in cases:
        for score in case:
            by_organ.setdefault(score.organ, []).append(score)
    means: dict[str, float] = {}
    for name in ("dice", "hd95_mm", "nsd"):
        of_organs = {f"{name}/{organ}": nan_mean(getattr(s, name) for s in by_organ[organ]) for organ in by_organ}
        means |= of_organs
        if of_organs:
            means[f"{name}/mean"] = nan_mean(of_organs.values())
    return means


def _score_organ(
    organ: str, pred: np.ndarray, reference: np.ndarray, edges_mm: np.ndarray, voxel_ml: float, tolerance_mm: float
) -> OrganScore:
    count_pred, count_true = int(np.count_nonzero(pred)), int(np.count_nonzero(reference))
    volumes = {"volume_ml_true": count_true * voxel_ml, "volume_ml_pred": count_pred * voxel_ml}
    if count_pred == 0 or count_true == 0:
        share = math.nan if count_pred == count_true else 0.0
        return OrganScore(organ, dice=share, hd95_mm=math.nan, nsd=share, **volumes)
    box = _bounding_box(pred | reference)
    pred, reference = pred[box], reference[box]
    dice = 2 * int(np.count_nonzero(pred & reference)) / (count_pred + count_true)
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
    """Surface elements of a mask: corners of voxels whose eight neighbours are partly in it.

    Outside of the array is outside of the organ, so an organ is closed at the border of a scan.
    """
    # Loads all of MONAI, which takes seconds; who reads a table needs none of it.
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
    """HD95 in mm and NSD of two surfaces."""
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

    A distance transform's time and memory depend on the box alone; a search tree is a little faster for good masks but
    takes minutes for the noise of an untrained network.
    """
    background = np.ones(np.maximum(position.max(axis=0), other.max(axis=0)) + 1, dtype=bool)
    background[tuple(other.T)] = False
    # Indices alone take half the time and a third of the memory of distances, and whole steps are exact.
    nearest: np.ndarray = distance_transform_edt(
        background, sampling=np.linalg.norm(edges_mm, axis=0), return_distances=False, return_indices=True
    )
    steps: np.ndarray = position - nearest[(slice(None), *position.T)].T
    return steps


def nan_mean(values: Iterable[float]) -> float:
    """Mean of what is not NaN; NaN, without a warning, when there is nothing."""
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
