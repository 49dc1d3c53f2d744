"""Fill the unlabelled voxels of a label map without a CT: with typical anatomy around and between the organs."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.fields import smooth_field
from segment.phantom.from_labels.hull import depth_mm, directions, extents_mm
from segment.phantom.tissues import CODES

Filling = tuple[np.ndarray, dict[str, np.ndarray]]

_BELLY = ("liver", "spleen", "stomach", "kidney", "pancreas", "gallbladder")
SKIN_MM = 2.0
BOWEL = 0.45  # share of the free room in the belly that bowel takes


def fill_from_labels(
    structure: np.ndarray, kinds: Sequence[str], known: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator
) -> Filling:
    """Assign a tissue to every voxel: a body around the hull of the labels, walls, spine, lungs, fat and bowel.

    Args:
        structure: (I,J,K) uint8, indices into kinds.
        kinds: Tissue or organ of every structure.
        known: (I,J,K) bool, voxels whose structure is known.
        spacing_mm: (3,) size of a voxel.
        rng: Random numbers.

    Returns:
        As `fill_from_ct`.
    """
    shape = structure.shape
    present = {kinds[index] for index in np.unique(structure) if index}
    if not known.any():
        return np.zeros(shape, np.uint8), {}
    has_wall = "bone" in present
    fat_mm, muscle_mm = rng.uniform(8, 32), 3.0 if has_wall else rng.uniform(9, 15)
    depth = _body_depth(known, spacing_mm, has_wall, fat_mm + muscle_mm + SKIN_MM)
    filling = np.zeros(shape, np.uint8)
    layers = (
        (0, "skin"),
        (SKIN_MM, "fat"),
        (SKIN_MM + fat_mm, "muscle"),
        (SKIN_MM + fat_mm + muscle_mm, "visceral_fat"),
    )
    for from_mm, tissue in layers:
        filling[depth > from_mm] = CODES[tissue]
    inside = (depth > layers[-1][0]) & ~known
    found: dict[str, np.ndarray] = {}
    chest = inside & _above_diaphragm(structure, kinds, spacing_mm)
    if "lung" not in present:
        found["lung"] = chest & ~_mediastinum(shape, spacing_mm, structure, kinds)
    filling[chest] = CODES["visceral_fat"]
    if "heart" not in present:
        found["heart"] = chest & _heart(chest, structure, kinds, spacing_mm)
    if "vertebra" not in present:
        found |= _spine(filling, inside, structure, kinds, spacing_mm)
    if not has_wall:
        found["bone"] = _ribs(depth, layers[2][0], spacing_mm, structure, kinds)
    if not present & {"small_bowel", "colon"}:
        taken = np.logical_or.reduce([known, chest, *found.values()])
        field = smooth_field(shape, spacing_mm, 22, rng)
        margin = max(1, round(3 / float(spacing_mm.mean())))  # fat between the bowel and its neighbours, in voxels
        room = inside & ~ndimage.binary_dilation(taken, iterations=margin) & (filling == CODES["visceral_fat"])
        if room.any():
            found["small_bowel"] = room & (field > np.quantile(field[room], 1 - BOWEL))
    return filling, found


def _body_depth(known: np.ndarray, spacing_mm: np.ndarray, has_wall: bool, layers_mm: float) -> np.ndarray:
    """Distance to the skin, inside a smooth body around the labels."""
    extents = extents_mm(known, spacing_mm)
    # A slice with few labels, for example with the aorta only, gets the extent of its neighbours.
    least = 0.75 if has_wall else 0.95
    overall = extents.max(axis=1, keepdims=True)
    across, front = directions()
    quarter = len(extents) // 4
    middle = [0.5 * (overall[at] - overall[at + 2 * quarter]) for at in (0, quarter)]
    half = [0.5 * (overall[at] + overall[at + 2 * quarter]) for at in (0, quarter)]
    center = (middle[0] * across + middle[1] * front)[:, None].astype(np.float32)
    # A body is about equally wide on both sides, and round even if the hull of the labels has corners.
    mirrored = extents[(2 * quarter - np.arange(len(extents))) % len(extents)] + 2 * (middle[0] * across)[:, None]
    radii = np.maximum(extents, mirrored) - center
    ellipse = np.hypot(half[0] * across, half[1] * front)[:, None]
    radii = np.maximum(radii, least * np.maximum(ellipse, overall - center))
    radii = ndimage.gaussian_filter1d(radii, 25 / spacing_mm[2], axis=1, mode="nearest")
    # The spine and the muscles of the back lie behind the organs of the belly.
    padding = layers_mm + (0 if has_wall else 38) * np.clip(-front, 0, 1) ** 2
    return depth_mm(center + radii + padding[:, None].astype(np.float32), known.shape, spacing_mm)


def _mask_of(structure: np.ndarray, kinds: Sequence[str], chosen: Sequence[str]) -> np.ndarray:
    return np.asarray(np.array([kind in chosen for kind in kinds])[structure])


def _above_diaphragm(structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray) -> np.ndarray:
    """Voxels (I,J,K) above a smooth dome through the tops of liver, spleen and stomach."""
    organs = _mask_of(structure, kinds, ("liver", "spleen", "stomach"))
    above = np.zeros(structure.shape, bool)
    if not organs.any():
        return above
    columns = organs.any(axis=2)
    tops = np.where(columns, organs.shape[2] - 1 - organs[..., ::-1].argmax(axis=2), 0).astype(np.float32)
    highest = tops.max()
    columns &= tops > highest - 110 / spacing_mm[2]  # leaves out the lower edge of the liver
    sigma = 22 / spacing_mm[:2]
    weight = ndimage.gaussian_filter(columns.astype(np.float32), sigma)
    dome = ndimage.gaussian_filter(np.where(columns, tops, 0), sigma) / np.maximum(weight, 1e-4)
    # Away from these organs the dome is lower than their tops, so fat and bowel there reach to its rim.
    dome = np.where(weight > 0.02, dome, highest - 35 / spacing_mm[2])
    above[...] = np.arange(structure.shape[2]) > dome[..., None] + 3 / spacing_mm[2]
    return above


def _middle_mm(structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray) -> tuple[float, float]:
    """Position (x, y) in mm of the middle of the vertebrae, estimated from the organs in front of them."""
    vessels = _mask_of(structure, kinds, ("aorta", "vena_cava"))
    kidneys = _mask_of(structure, kinds, ("kidney",))
    known = structure > 0
    if vessels.any():
        landmark, behind_mm = vessels, 12
    elif kidneys.any():
        landmark, behind_mm = kidneys, -12
    else:
        landmark, behind_mm = known, -12
    i = np.argwhere(landmark.any(axis=(1, 2)))
    j = np.argwhere(landmark.any(axis=(0, 2)))
    x = float(i.min() + i.max()) / 2 * float(spacing_mm[0])
    y = float(j.min()) * float(spacing_mm[1]) - behind_mm
    return x, y


def _mediastinum(
    shape: tuple[int, ...], spacing_mm: np.ndarray, structure: np.ndarray, kinds: Sequence[str]
) -> np.ndarray:
    """Column (I,J,1) between the lungs."""
    x, y = _middle_mm(structure, kinds, spacing_mm)
    i, j, _ = np.ogrid[: shape[0], : shape[1], :1]
    return np.asarray(((i * spacing_mm[0] - x + 12) / 42) ** 2 + ((j * spacing_mm[1] - y - 55) / 65) ** 2 < 1)


def _heart(chest: np.ndarray, structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray) -> np.ndarray:
    """A ball (I,J,K) on the diaphragm, left of the middle."""
    slices = np.flatnonzero(chest.any(axis=(0, 1)))
    if not len(slices):
        return np.zeros(chest.shape, bool)
    x_mm, y_mm = _middle_mm(structure, kinds, spacing_mm)
    i, j, k = np.ogrid[tuple(map(slice, chest.shape))]
    x, y = i * spacing_mm[0] - x_mm + 22, j * spacing_mm[1] - y_mm - 68
    z = (k - np.percentile(slices, 30)) * spacing_mm[2] - 25
    return np.asarray((x / 52) ** 2 + (y / 42) ** 2 + (z / 55) ** 2 < 1)


def _spine(
    filling: np.ndarray, inside: np.ndarray, structure: np.ndarray, kinds: Sequence[str], spacing_mm: np.ndarray
) -> dict[str, np.ndarray]:
    """Add discs, canal and the muscles beside the spine, and return the mask of the vertebrae."""
    x_mm, y_mm = _middle_mm(structure, kinds, spacing_mm)
    i, j, k = np.ogrid[tuple(map(slice, filling.shape))]
    x, y, z = i * spacing_mm[0] - x_mm, j * spacing_mm[1] - y_mm, k * spacing_mm[2]
    back = inside & (np.abs(x) < 68) & (y < -4 - 0.12 * np.abs(x))
    psoas = inside & (((np.abs(x) - 36) / 17) ** 2 + ((y - 0) / 20) ** 2 < 1)
    filling[back | psoas] = CODES["muscle"]
    body = (x / 22) ** 2 + (y / 17) ** 2 < 1
    disc = body & (z % 34 < 8)
    process = (np.abs(x) < 4) & (y < -24) & (y > -55) & (z % 34 > 12)
    arch = ((x / 24) ** 2 + ((y + 25) / 13) ** 2 < 1) & (z % 34 > 10)
    canal = (x / 10) ** 2 + ((y + 24) / 8) ** 2 < 1
    allowed = inside | back
    filling[allowed & disc] = CODES["disc"]
    filling[allowed & canal] = CODES["canal"]
    filling[allowed & ((x / 5) ** 2 + ((y + 24) / 4) ** 2 < 1)] = CODES["cord"]
    return {"vertebra": allowed & (((body & ~disc) | process | arch) & ~canal)}


def _ribs(
    depth: np.ndarray, wall_mm: float, spacing_mm: np.ndarray, structure: np.ndarray, kinds: Sequence[str]
) -> np.ndarray:
    """Ribs: slanted bands in the wall beside and above the organs of the upper belly."""
    organs = np.flatnonzero(_mask_of(structure, kinds, _BELLY).any(axis=(0, 1)))
    if not len(organs):
        return np.zeros(depth.shape, bool)
    _, j, k = np.ogrid[tuple(map(slice, depth.shape))]
    z, y = k * spacing_mm[2], j * spacing_mm[1]
    middle = y.mean()
    lowest = organs[-1] * spacing_mm[2] - 130 + 0.5 * (y - middle)  # the arch of the ribs rises to the front
    bands = ((z + 0.55 * (y - middle)) % 27 < 10) & (z > lowest) & (y < middle + 70)
    return np.asarray((depth > wall_mm + 1) & (depth < wall_mm + 9) & bands)
