"""A real body as its label map shows it, with everything filled that the map leaves unlabelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.filling_from_ct import fill_from_ct
from segment.phantom.from_labels.filling_from_labels import fill_from_labels
from segment.phantom.from_labels.structures import UNLABELLED

FINEST_MM = 1.4  # finer maps are thinned out to about this size of a voxel
# Structures within the walls of belly and chest, from which their insides are recognised.
_INNER = frozenset(
    (
        *(
            "liver",
            "spleen",
            "stomach",
            "duodenum",
            "small_bowel",
            "colon",
            "pancreas",
            "gallbladder",
            "kidney",
            "adrenal",
        ),
        *("bladder", "prostate", "uterus", "aorta", "vena_cava", "portal_vein", "heart", "lung", "oesophagus"),
    )
)


@dataclass(frozen=True)
class LabelledBody:
    """A body in RAS+ orientation.

    Attributes:
        structure: (I,J,K) uint8, indices into `made_of`; 0 where `filling` holds.
        made_of: Tissue or organ of every structure. The first is not used.
        annotated: Number of structures that the map names, which come first; the others were found between them.
        filling: (I,J,K) uint8, codes of tissues; air around the body.
        spacing_mm: (3,) size of a voxel.
    """

    structure: np.ndarray
    made_of: tuple[str, ...]
    annotated: int
    filling: np.ndarray
    spacing_mm: np.ndarray


def build_body(
    structure: np.ndarray, made_of: Mapping[str, str], hu: np.ndarray | None, spacing_mm: np.ndarray, seed: int
) -> LabelledBody:
    """Fill what a label map leaves unlabelled: from the CT if there is one, otherwise from typical anatomy.

    Args:
        structure: (I,J,K) uint8 in RAS+ orientation: i for the i-th structure, from 1; 0 unlabelled.
        made_of: Tissue or organ of every structure, or `unlabelled`, as from `tissue_of`.
        hu: (I,J,K) of the CT on the same grid, or None.
        spacing_mm: (3,) size of a voxel.
        seed: Seed of the typical anatomy.
    """
    steps = [max(1, round(FINEST_MM / float(s))) for s in spacing_mm]
    structure = structure[tuple(slice(step // 2, None, step) for step in steps)]
    spacing_mm = spacing_mm * steps
    kinds = ["", *made_of.values()]
    known = np.array([kind not in ("", UNLABELLED) for kind in kinds])[structure]
    inner = np.array([kind in _INNER for kind in kinds])[structure]
    if hu is None:
        rng = np.random.default_rng(seed)
        filling, found = fill_from_labels(structure, kinds, known, spacing_mm, rng)
    else:
        filling, found = fill_from_ct(_thinned(hu, steps, structure.shape), structure, kinds, known, inner, spacing_mm)
    structure = np.where(known, structure, 0)
    structure = np.asarray(structure, np.uint8)
    for kind, mask in found.items():
        structure[mask & ~known] = len(kinds)
        kinds.append(kind)
    return LabelledBody(structure, tuple(kinds), len(made_of), filling, spacing_mm)


def _thinned(hu: np.ndarray, steps: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Means over blocks of voxels, without the noise that single voxels have; float32."""
    thin = hu.astype(np.float32)
    for axis, step in enumerate(steps):
        if step > 1:
            thin = ndimage.uniform_filter1d(thin, step, axis)
    return thin[tuple(slice(step // 2, None, step) for step in steps)][tuple(map(slice, shape))]
