"""Measure the CT itself: the size of the body, and its brightness, noise and sharpness."""

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage

from segment.io.grid import axis_along
from segment.io.scan import AIR_BELOW_HU, Scan

FAT_HU, SOFT_HU = (-180, -20), (-10, 180)  # ranges that hold the peaks of fat and of soft tissue in a CT in HU
BONE_HU, GAS_HU = 300, -600
PLANES = 9  # axial planes that are measured
SAMPLED = 128  # voxels along each axis of a plane that are measured; noise is measured between neighbours of all
OF_CT = (
    "fat_hu",
    "soft_hu",
    "noise_hu",
    "edge_hu",
    "width_mm",
    "depth_mm",
    "area_cm2",
    "height_mm",
    "thickness_mm",
    "bone_back_mm",
    "gas_up_mm",
)
FEW = 200  # with fewer voxels there is no measurement
Features = dict[str, float]


def measure_body(scan: Scan) -> Features:
    """Measurements of a CT that do not depend on a mask. NaN for what cannot be measured.

    Returns:
        The numbers of `OF_CT`: `fat_hu` and `soft_hu`, the peaks of the histogram; `noise_hu`, from neighbouring
        voxels; `edge_hu`, a high difference between neighbours; `width_mm` and `depth_mm` of the body, arms included;
        `height_mm` of the scan; `area_cm2`, the median cross-section of the body; `thickness_mm`, the largest edge of a
        voxel; `bone_back_mm`, how far bones lie behind the middle of the body, and `gas_up_mm`, how far lungs and gas
        lie above it.
    """
    vertical = axis_along(scan.affine, 2)
    count = scan.data.shape[vertical]
    chosen = np.unique(np.linspace(0, count - 1, min(PLANES, count)).round().astype(int))
    planes = np.moveaxis(scan.data, vertical, 0)[chosen].astype(np.float32)
    others = [axis for axis in range(3) if axis != vertical]
    edges_mm = voxel_sizes(scan.affine)
    height_mm = float(np.abs(scan.affine[2, vertical]) * count)
    steps_mm = [scan.affine[:2, axis] for axis in others]
    up_mm = scan.affine[2, vertical] * chosen
    values = planes[(planes > AIR_BELOW_HU) & (planes < SOFT_HU[1] + 200)]
    return {
        "fat_hu": _peak(values, FAT_HU),
        "soft_hu": _peak(values, SOFT_HU),
        **_texture(planes),
        **_body_size(planes, steps_mm, up_mm),
        "height_mm": height_mm,
        "thickness_mm": float(edges_mm.max()),
    }


def _peak(values: np.ndarray, ends: tuple[int, int]) -> float:
    """The most frequent HU within a range, smoothed over 12 HU; NaN if there are few voxels."""
    counts = np.histogram(values, bins=(ends[1] - ends[0]) // 4, range=ends)[0]
    if counts.sum() < FEW:
        return float("nan")
    smooth = np.convolve(counts, np.ones(3), mode="same")
    return float(ends[0] + 4 * np.argmax(smooth) + 2)


def _texture(planes: np.ndarray) -> Features:
    """Noise and edges from differences between neighbours in a plane, within fat and soft tissue."""
    low, high = AIR_BELOW_HU, SOFT_HU[1] + 120
    differences = []
    for one, two in ((planes[:, :-1, ::2], planes[:, 1:, ::2]), (planes[:, ::2, :-1], planes[:, ::2, 1:])):
        inside = (one > low) & (one < high) & (two > low) & (two < high)
        differences.append(np.abs(one[inside] - two[inside]))
    values = np.concatenate(differences)
    if values.size < FEW:
        return {"noise_hu": float("nan"), "edge_hu": float("nan")}
    middle, far = np.quantile(values, [0.5, 0.98])
    # The median of |a - b| is 0.954 standard deviations of Gaussian noise.
    return {"noise_hu": float(middle / 0.954), "edge_hu": float(far)}


def _body_size(planes: np.ndarray, steps_mm: list[np.ndarray], up_mm: np.ndarray) -> Features:
    """Size of the body in planes (N,A,B), and where its bones and its gas are.

    Args:
        planes: HU.
        steps_mm: Step of A and of B along x and y.
        up_mm: (N,) height of each plane.
    """
    strides = [-(-n // SAMPLED) for n in planes.shape[1:]]
    sampled = planes[:, :: strides[0], :: strides[1]]
    is_body = sampled > AIR_BELOW_HU
    areas = is_body.sum(axis=(1, 2))
    if areas.sum() < FEW:
        names = ("width_mm", "depth_mm", "area_cm2", "bone_back_mm", "gas_up_mm")
        return dict.fromkeys(names, float("nan"))
    steps = np.array([stride * step for stride, step in zip(strides, steps_mm, strict=True)])
    index = np.argwhere(is_body)
    plane = index[:, 1:] @ steps  # (V,2) x and y in mm
    (left, back), (right, front) = np.quantile(plane, [0.01, 0.99], axis=0)
    middle_y, middle_z = np.median(plane[:, 1]), up_mm[index[:, 0]].mean()
    bone = np.argwhere(sampled > BONE_HU)
    bone_y = (bone[:, 1:] @ steps)[:, 1]
    filled = np.stack([ndimage.binary_fill_holes(one) for one in is_body])
    gas = np.argwhere(filled & (sampled < GAS_HU))
    fewest = FEW // 4
    return {
        "width_mm": float(right - left),
        "depth_mm": float(front - back),
        "area_cm2": float(np.median(areas)) * abs(float(np.linalg.det(steps))) / 100,
        "bone_back_mm": float(middle_y - np.median(bone_y)) if len(bone) >= fewest else float("nan"),
        "gas_up_mm": float(up_mm[gas[:, 0]].mean() - middle_z) if len(gas) >= fewest else float("nan"),
    }
