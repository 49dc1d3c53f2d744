"""Masks of ellipsoids, to test what happens to organs in usual and unusual places."""

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf
from run_commands import config

from segment.inference.postprocess.clean_up import CleanUp

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
SPACING_MM = (8.0, 8.0, 8.0)
SHAPE = (50, 36, 100)  # 400×288×800 mm, from the neck to the thighs
CENTRE = np.array([25.0, 18.0, 50.0])  # voxel at the midline, at the depth and the height of the kidneys

# Centre (mm to the right, to the front, up) and radii in mm. About 1480, 150, 150 and 200 mL.
Ellipsoid = tuple[Sequence[float], Sequence[float]]
USUAL: dict[str, Ellipsoid] = {
    "liver": ((53, 48, 62), (80, 65, 68)),
    "right_kidney": ((64, 2, -5), (26, 24, 56)),
    "left_kidney": ((-66, -2, 5), (26, 24, 56)),
    "spleen": ((-90, 0, 65), (28, 40, 42)),
}
LOWER_MM = (-170, 0, 0)


def affine() -> np.ndarray:
    """(4,4) voxel → RAS+ mm, whose R axis runs to the right and whose origin is arbitrary."""
    result = np.diag([*SPACING_MM, 1.0])
    result[:3, 3] = (-23.0, 141.0, -512.5)
    return result


def draw(parts: Sequence[tuple[str, Ellipsoid]], scale: float = 1.0) -> np.ndarray:
    """Class indices of ellipsoids of organs; later ones replace earlier ones.

    Args:
        parts: Organ, and its ellipsoid.
        scale: Size of the body relative to an adult's.
    """
    mask = np.zeros(SHAPE, np.uint8)
    for organ, (centre, radii) in parts:
        axes = np.ogrid[tuple(map(slice, SHAPE))]
        at = CENTRE + scale * np.array(centre) / SPACING_MM
        size = scale * np.array(radii) / SPACING_MM
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(axes, at, size, strict=True)) <= 1
        mask[inside] = ORGANS.index(organ) + 1
    return mask


def usual(**changes: Ellipsoid | None) -> list[tuple[str, Ellipsoid]]:
    """The four organs, some of them elsewhere or, with None, absent."""
    parts: Mapping[str, Ellipsoid | None] = USUAL | changes
    return [(organ, part) for organ, part in parts.items() if part is not None]


def default_clean_up(*names: str) -> CleanUp:
    """The default post-processing, or only some of its steps."""
    node = OmegaConf.to_container(config("train", "run_dir=.").model.postprocess, resolve=True)
    if names:
        node["steps"] = {name: node["steps"][name] for name in names}
    return instantiate(node, _convert_="all")


def clean(mask: np.ndarray, *names: str) -> np.ndarray:
    """The mask after the default post-processing, or some of its steps. The mask itself does not change."""
    return default_clean_up(*names)(mask.copy(), affine())


def turned(mask: np.ndarray, orientation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mask and its affine, stored in another order and direction of its axes."""
    stored = np.ascontiguousarray(nib.orientations.apply_orientation(mask, orientation))
    return stored, affine() @ nib.orientations.inv_ornt_aff(orientation, mask.shape)
