"""A CT with its masks as the viewer of a page reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from segment.view.page.volume import level_hu, pack, page_affine, page_shape, reduce_ct, reduce_mask
from segment.view.scene import Scene, make_scene

MAX_CASE_BYTES = 14_000_000  # of the packed volumes of a case in the page
_MAX_VOXELS = 20_000_000  # 512×512×133 is then shown as about 388×388×133 and packed in 11 MB
_SHEAR = 0.01  # largest cosine between axes that still count as perpendicular


@dataclass
class Blobs:
    """Large texts of a page, which it keeps apart from its data and decodes when they are needed.

    Attributes:
        texts: Base64 by id.
    """

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, text: str) -> str:
        """Keep a text; return its id."""
        name = f"blob-{len(self.texts)}"
        self.texts[name] = text
        return name

    @property
    def size(self) -> int:
        """Bytes of all texts."""
        return sum(map(len, self.texts.values()))


def pack_scan(
    ct: np.ndarray,
    pred: np.ndarray,
    affine: np.ndarray,
    organs: Sequence[str],
    blobs: Blobs,
    *,
    reference: np.ndarray | None = None,
) -> tuple[Scene, dict[str, Any]]:
    """Reorient, reduce and pack a scan.

    Args:
        ct: (I,J,K) in HU, in any orientation.
        pred: (I,J,K) class indices.
        affine: Voxel → RAS+ mm, 4×4.
        organs: Class i is organs[i-1].
        blobs: Where the packed volumes go.
        reference: (I,J,K) class indices or None.

    Returns:
        The scan in the orientation of the page, not reduced, and its entry in the page's data.
    """
    scene = make_scene(ct, pred, reference, affine, organs, (-160, 240))
    shape, image, prediction = _pack_below_limit(scene)
    grid = page_affine(scene.affine, scene.ct.shape, shape)
    entry: dict[str, Any] = {
        "shape": list(shape),
        "spacing_mm": [round(float(mm), 5) for mm in np.linalg.norm(grid[:3, :3], axis=0)],
        "affine": grid.round(6).tolist(),
        "letters": scene.letters,
        "hu": level_hu(),
        "image": blobs.add(image),
        "prediction": blobs.add(prediction),
        "reference": None if reference is None else blobs.add(pack(reduce_mask(_present(scene.reference), shape))),
        "notes": [*_reduction_note(scene, shape), *_shear_note(scene)],
    }
    return scene, entry


def _present(mask: np.ndarray | None) -> np.ndarray:
    if mask is None:
        msg = "the scene lost its reference"
        raise ValueError(msg)
    return mask


def _pack_below_limit(scene: Scene) -> tuple[tuple[int, int, int], str, str]:
    """Shape, and the packed CT and prediction, which together are below the limit of a case."""
    voxels = float(_MAX_VOXELS)
    while True:
        shape = page_shape(scene.ct.shape, scene.spacing_mm, voxels)
        image, prediction = pack(reduce_ct(scene.ct, shape)), pack(reduce_mask(scene.pred, shape))
        size = len(image) + len(prediction)
        if size <= MAX_CASE_BYTES:
            return shape, image, prediction
        voxels = min(voxels, float(np.prod(shape))) * 0.9 * MAX_CASE_BYTES / size


def _reduction_note(scene: Scene, shape: Sequence[int]) -> list[str]:
    levels = "HU are shown in steps of 2 from -120 to 220 HU and of 24 outside"
    if tuple(shape) == scene.ct.shape:
        return [f"{levels}."]
    full, small = "x".join(map(str, scene.ct.shape)), "x".join(map(str, shape))
    return [f"This page shows the scan reduced from {full} to {small} voxels; {levels}. The table is of the full scan."]


def _shear_note(scene: Scene) -> list[str]:
    axes = scene.affine[:3, :3] / np.linalg.norm(scene.affine[:3, :3], axis=0)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() <= _SHEAR:
        return []
    return ["The axes of this scan are not perpendicular (gantry tilt): angles in the planes are not true."]
