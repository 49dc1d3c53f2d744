"""A real body from its label map, with tissues filled in where the map has no label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.filling_from_ct import fill_from_ct
from segment.phantom.from_labels.filling_from_labels import fill_from_labels
from segment.phantom.from_labels.structures import UNLABELLED

FINEST_MM = 1.4  # finer maps are reduced to about this size of a voxel
_ABDOMEN = ("liver", "spleen", "stomach", "duodenum", "small_bowel", "colon", "pancreas", "gallbladder")
_BEHIND = ("kidney", "adrenal", "aorta", "vena_cava", "portal_vein")
_CHEST_AND_PELVIS = ("heart", "lung", "oesophagus", "bladder", "prostate", "uterus")
# Structures inside the walls of abdomen and chest; they show where the cavities are.
_INNER = frozenset((*_ABDOMEN, *_BEHIND, *_CHEST_AND_PELVIS))


@dataclass(frozen=True)
class LabelledBody:
    """A body in RAS+ orientation.

    Attributes:
        structure: (I,J,K) uint8, indices into `made_of`; 0 where `filling` holds.
        made_of: Tissue or organ of every structure; entry 0 is not used.
        annotated: Number of structures that the map names, which come first. The others, e.g. bones, were found where
            the map has no label.
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
    """Fill the unlabelled voxels of a label map: from the CT if there is one, otherwise with typical anatomy.

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
    """Reduce a CT to every n-th voxel, after averaging over n voxels to reduce the noise; float32."""
    thin = hu.astype(np.float32)
    for axis, step in enumerate(steps):
        if step > 1:
            thin = ndimage.uniform_filter1d(thin, step, axis)
    return thin[tuple(slice(step // 2, None, step) for step in steps)][tuple(map(slice, shape))]
