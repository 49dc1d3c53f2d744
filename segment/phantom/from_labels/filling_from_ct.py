"""Fill the unlabelled voxels of a label map with the tissues that the CT shows there."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.hull import depth_mm, extents_mm
from segment.phantom.tissues import CODES

BODY_HU = -300  # the body and the table are above
OPEN_MM = 7.0  # anything thinner in a slice, like a table or a blanket, does not belong to the body
FLAT = 0.4  # a piece whose height is less than this share of its width is a table
LUNG_ML = 60.0  # a region of low HU that is larger is lung, a smaller one gas
BONE_ML = 0.3  # a dense region that is smaller is a vessel or a calcification
GAS_HU = -400  # gas and lung are below
SOFT_HU, DENSE_HU = -30, 150  # soft tissue is from the first to the second, fat below, bone and contrast medium above
SPINE_ML, MARROW_MM = 5.0, 5.0  # least size of a piece of the spine; half the width of marrow that bone encloses
CORTEX_HU = 330  # bone has voxels above it, vessels with contrast medium hardly
POOL_MM, POOL_HU = 6.0, 240  # half the width of a pool of blood with contrast medium, and the HU that it exceeds
IN_BOWEL_HU = 22  # fluid is below

Filling = tuple[np.ndarray, dict[str, np.ndarray]]


def fill_from_ct(
    hu: np.ndarray,
    structure: np.ndarray,
    kinds: Sequence[str],
    known: np.ndarray,
    inner: np.ndarray,
    spacing_mm: np.ndarray,
) -> Filling:
    """Assign a tissue to every voxel of the body.

    Args:
        hu: (I,J,K) float32, with little noise.
        structure: (I,J,K) uint8, indices into kinds.
        kinds: Tissue or organ of every structure.
        known: (I,J,K) bool, voxels whose structure is known.
        inner: (I,J,K) bool, structures within the walls of belly and chest.
        spacing_mm: (3,) size of a voxel.

    Returns:
        (I,J,K) uint8 codes of tissues, air outside of the body; and masks of further structures that were found, by
        what they are made of. Known voxels may have any code.
    """
    smooth = ndimage.gaussian_filter(hu, 0.6)
    body = find_body(smooth, known, spacing_mm)
    filling = np.where(body, np.uint8(CODES["muscle"]), np.uint8(CODES["air"]))
    deep = depth_mm(extents_mm(inner, spacing_mm), hu.shape, spacing_mm) > 4 if inner.any() else np.zeros_like(known)
    filling[body & (smooth < SOFT_HU)] = CODES["fat"]
    filling[body & (smooth < SOFT_HU) & deep] = CODES["visceral_fat"]
    soft = body & ~known & (smooth >= SOFT_HU) & (smooth < DENSE_HU)
    _add_discs(filling, soft, structure, kinds, spacing_mm)
    belly = deep & _is_belly(structure, kinds)
    filling[soft & belly] = CODES["bowel_wall"]
    filling[soft & belly & (smooth < IN_BOWEL_HU)] = CODES["bowel_fluid"]
    bone = _add_dense(filling, body & ~known & (smooth >= DENSE_HU), smooth, deep, spacing_mm)
    _add_gas(filling, body & ~known & (smooth < GAS_HU), structure, kinds, spacing_mm)
    filling[_shell(body) & ~known & (smooth > -250)] = CODES["skin"]
    return filling, {"bone": bone}


def find_body(smooth: np.ndarray, known: np.ndarray, spacing_mm: np.ndarray) -> np.ndarray:
    """Mask of the body, with lungs and gas, without table and blankets.

    Args:
        smooth: (I,J,K) HU.
        known: Voxels that certainly belong to it.
        spacing_mm: (3,) size of a voxel.
    """
    solid = (smooth > BODY_HU) | known
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(solid, 2, 0)], axis=2)
    times = max(1, round(OPEN_MM / 2 / float(spacing_mm[:2].mean())))
    cross = ndimage.generate_binary_structure(2, 1)[..., None]
    core = ndimage.binary_erosion(filled, cross, times, border_value=1)
    pieces, count = ndimage.label(core)
    if count:
        core = _of_body(pieces)[pieces]
    body = ndimage.binary_dilation(core, cross, times + 1) & filled
    body |= known
    body = np.stack([ndimage.binary_fill_holes(plane) for plane in np.moveaxis(body, 2, 0)], axis=2)
    return np.asarray(body)


def _of_body(pieces: np.ndarray) -> np.ndarray:
    """Whether each piece belongs to the body, by its number: the largest one, and arms beside it, but no table."""
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = sizes > 0.02 * sizes.max()
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):
        across, high = (s.stop - s.start for s in box[:2])
        kept[number] &= high > FLAT * across
    kept[sizes.argmax()] = True
    return np.asarray(kept)


def _shell(body: np.ndarray) -> np.ndarray:
    """The outermost voxels of the body in each slice."""
    cross = ndimage.generate_binary_structure(2, 1)[..., None]
    return np.asarray(body & ~ndimage.binary_erosion(body, cross, border_value=1))


def _mask_of(structure: np.ndarray, kinds: Sequence[str], chosen: Sequence[str]) -> np.ndarray:
    return np.asarray(np.array([kind in chosen for kind in kinds])[structure])


def _is_belly(structure: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """Slices (1,1,K) below the dome of the diaphragm, where soft tissue between organs is mostly bowel."""
    organs = _mask_of(structure, kinds, ("liver", "spleen", "kidney", "pancreas")).any(axis=(0, 1))
    lungs = _mask_of(structure, kinds, ("lung", "heart")).sum(axis=(0, 1))
    belly = np.zeros(structure.shape[2], bool)
    if organs.any():
        top = np.flatnonzero(organs)[-1]
        belly[: top + 1] = True
        belly &= lungs < 0.25 * max(lungs.max(), 1)
    return belly


def _add_discs(
    filling: np.ndarray, soft: np.ndarray, structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray
) -> None:
    """Add discs between the vertebrae."""
    spine = _mask_of(structure, kinds, ("vertebra",))
    if spine.any():
        reach = max(1, round(6 / float(spacing_mm[2])))
        line = np.ones((1, 1, 2 * reach + 1), bool)
        filling[soft & ndimage.binary_closing(spine, line)] = CODES["disc"]


def _add_dense(
    filling: np.ndarray, dense: np.ndarray, smooth: np.ndarray, deep: np.ndarray, spacing_mm: np.ndarray
) -> np.ndarray:
    """Separate vessels with contrast medium and calcifications from bone, and return the mask of the bone."""
    # Bone is thin or has darker marrow inside; a large bright pool is blood in the heart or a great vessel.
    core = _deeper_than(dense & (smooth > POOL_HU), POOL_MM, spacing_mm)
    pool = ndimage.binary_dilation(core, iterations=max(1, round((POOL_MM + 5) / float(spacing_mm.mean()))))
    pool &= dense
    filling[pool] = CODES["left_heart"]
    dense = dense & ~pool
    pieces, count = ndimage.label(dense)
    if not count:
        return dense
    numbers = np.arange(count + 1)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    size_ml = np.bincount(pieces.ravel(), minlength=count + 1) * voxel_ml
    hard = ndimage.mean(smooth > CORTEX_HU, pieces, numbers)
    inside = ndimage.mean(deep, pieces, numbers)
    # Between the organs, only the spine is large and has marrow darker than its cortex.
    is_bone = (size_ml > BONE_ML) & (hard > 0.04) & ((inside < 0.8) | ((size_ml > SPINE_ML) & (hard < 0.8)))
    is_bone[0] = False
    bone: np.ndarray = is_bone[pieces]
    vessel = dense & ~bone
    filling[vessel] = CODES["portal_vein"]
    filling[vessel & ~deep] = CODES["superior_vena_cava"]
    filling[vessel & (size_ml < BONE_ML)[pieces] & (hard > 0.5)[pieces]] = CODES["calcification"]
    return np.asarray(ndimage.binary_closing(bone, iterations=max(1, round(MARROW_MM / float(spacing_mm.mean())))))


def _deeper_than(mask: np.ndarray, depth_mm: float, spacing_mm: np.ndarray) -> np.ndarray:
    """Voxels of a mask that are further than this from its surface."""
    deep = np.zeros_like(mask)
    box = ndimage.find_objects(mask.view(np.uint8))
    if box:
        distance_mm = ndimage.distance_transform_edt(mask[box[0]], spacing_mm)
        deep[box[0]] = distance_mm - spacing_mm.max() / 2 > depth_mm
    return deep


def _add_gas(
    filling: np.ndarray, low: np.ndarray, structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray
) -> None:
    """Distinguish lung from gas."""
    pieces, count = ndimage.label(low)
    if not count:
        return
    size_ml = np.bincount(pieces.ravel(), minlength=count + 1) * float(np.prod(spacing_mm)) / 1000
    lungs = _mask_of(structure, kinds, ("lung",))
    is_lung = size_ml > LUNG_ML
    if lungs.any():  # only a thin layer of them is unlabelled
        near = ndimage.binary_dilation(lungs, iterations=max(1, round(5 / float(spacing_mm.mean()))))
        is_lung = ndimage.mean(near, pieces, np.arange(count + 1)) > 0.5
    is_lung[0] = False
    filling[low] = CODES["gas"]
    filling[is_lung[pieces]] = CODES["lung"]
