"""One synthetic CT from a labelled body."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.from_labels.body import LabelledBody
from segment.phantom.from_labels.drawing import draw
from segment.phantom.from_labels.fields import Deformation, sample_deformation
from segment.phantom.from_labels.part import Part
from segment.phantom.render import render
from segment.phantom.tissues import CODES

WHOLE = 0.4  # share of the CTs that show all of the body that the map shows; the others are cut at one end or both
BELLY = 0.85  # share of the CTs that are cut around organs of the belly; the others are cut anywhere
BELLY_ORGANS = ("liver", "spleen", "kidney", "pancreas", "stomach", "gallbladder", "bladder", "prostate")
SHORTEST_MM = 110.0  # least length of a CT that is cut, unless the map is shorter
BEYOND, BEYOND_MM = 0.1, 5.0  # a slice is left out if more than this share of it lies further than this beyond the map
MARGIN = 3  # voxels around a structure in which its surface is recognised


@dataclass(frozen=True)
class SyntheticScan:
    """A synthetic CT in RAS+ orientation.

    Attributes:
        hu: (I,J,K) int16.
        structure: (I,J,K) uint8, as in `LabelledBody`; structures that the map does not name are 0.
        tissue: (I,J,K) uint8, codes of tissues.
        affine: (4,4) voxel → mm.
    """

    hu: np.ndarray
    structure: np.ndarray
    tissue: np.ndarray
    affine: np.ndarray


def synthesise(
    body: LabelledBody, spacing_mm: np.ndarray, rng: np.random.Generator, strength: float = 1.0
) -> SyntheticScan:
    """Deform a body, choose a field of view, add the tissues and render the CT.

    Args:
        body: The body.
        spacing_mm: (3,) size of a voxel.
        rng: Random numbers.
        strength: Strength of the deformation, in 0 … 1.
    """
    deformation = sample_deformation(rng, strength)
    shape, middle_mm = _field_of_view(body, deformation.matrix, spacing_mm, rng)
    structure, tissue, first = _deformed(body, deformation, shape, middle_mm, spacing_mm)
    _draw_structures(structure, tissue, body.made_of, spacing_mm, rng)
    _add_table(tissue, spacing_mm, rng)
    hu = np.rint(render(tissue, spacing_mm.tolist(), rng)).astype(np.int16)
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = middle_mm + (np.array((0, 0, first)) - (np.array(shape) - 1) / 2) * spacing_mm
    structure[structure > body.annotated] = 0
    return SyntheticScan(hu, structure, tissue, affine)


def _field_of_view(
    body: LabelledBody, matrix: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Number of voxels, and the position of their middle in the real body, relative to the middle of its grid."""
    occupied = (body.structure > 0) | (body.filling > 0)
    low, high = np.zeros(3), np.array(occupied.shape, float)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        indices = np.flatnonzero(occupied.any(axis=others))
        if len(indices):
            low[axis], high[axis] = indices[0], indices[-1] + 1
    low_mm, high_mm = low * body.spacing_mm, high * body.spacing_mm
    if rng.random() > WHOLE and high_mm[2] - low_mm[2] > SHORTEST_MM:
        length = rng.uniform(SHORTEST_MM, high_mm[2] - low_mm[2])
        slices = _slices_with_belly(body)
        around = rng.choice(slices) if len(slices) and rng.random() < BELLY else rng.uniform(low[2], high[2])
        bottom = around * body.spacing_mm[2] - length * rng.uniform(0.2, 0.8)
        low_mm[2] = np.clip(bottom, low_mm[2], high_mm[2] - length)
        high_mm[2] = low_mm[2] + length
    middle_mm = (low_mm + high_mm) / 2 - np.array(occupied.shape) * body.spacing_mm / 2
    middle_mm[:2] += np.clip(rng.normal(0, 6, 2), -15, 15)
    # The deformation maps the new grid to the real body, so a body that becomes larger needs a larger grid.
    sizes_mm = (high_mm - low_mm) / np.diag(matrix)
    sizes_mm[:2] = sizes_mm[:2].max() * rng.uniform(1.02, 1.25)  # a square around the body
    shape = np.maximum(8, np.rint(sizes_mm / spacing_mm)).astype(int)
    return (int(shape[0]), int(shape[1]), int(shape[2])), middle_mm


def _slices_with_belly(body: LabelledBody) -> np.ndarray:
    """Indices of the slices that show organs of the belly."""
    organs = np.array([kind in BELLY_ORGANS for kind in body.made_of])[body.structure]
    return np.flatnonzero(organs.any(axis=(0, 1)))


def _deformed(
    body: LabelledBody,
    deformation: Deformation,
    shape: tuple[int, int, int],
    middle_mm: np.ndarray,
    spacing_mm: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Structure and filling at the voxels of the new grid, and the number of slices left out at its lower end.

    Slices that lie mostly beyond the ends of the map are left out. The others repeat the last voxels of the map.
    """
    flat = np.zeros(shape, np.intp)
    for axis, position in enumerate(deformation.positions_mm(shape, spacing_mm)):
        size = body.structure.shape[axis]
        index = (position + np.float32(middle_mm[axis])) / np.float32(body.spacing_mm[axis]) + np.float32(
            (size - 1) / 2
        )
        flat *= size
        flat += np.clip(np.rint(index), 0, size - 1).astype(np.intp)
    slack = BEYOND_MM / body.spacing_mm[2]  # of the last axis, which `index` holds
    beyond = np.mean((index < -slack) | (index > size - 1 + slack), axis=(0, 1)) > BEYOND
    kept = np.flatnonzero(~beyond) if not beyond.all() else np.arange(shape[2])
    flat = flat[..., kept[0] : kept[-1] + 1]
    return body.structure.ravel()[flat], body.filling.ravel()[flat], int(kept[0])


def _draw_structures(
    structure: np.ndarray,
    tissue: np.ndarray,
    made_of: tuple[str, ...],
    spacing_mm: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Add every structure to the tissue map."""
    seeds = rng.integers(2**32, size=256)  # a structure looks the same whatever else is in the map
    for index, box in enumerate(ndimage.find_objects(structure), start=1):
        if box is None:
            continue
        wide = tuple(slice(max(0, s.start - MARGIN), s.stop + MARGIN) for s in box)
        own_rng = np.random.default_rng(seeds[index])
        draw(made_of[index], Part(structure[wide] == index, tissue[wide], spacing_mm, own_rng))


def _add_table(tissue: np.ndarray, spacing_mm: np.ndarray, rng: np.random.Generator) -> None:
    """Add mattress and table behind the patient, in the air only."""
    occupied = np.any(tissue > 0, axis=2)
    rows = np.flatnonzero(occupied.any(axis=0))
    if not len(rows) or rng.random() < 0.1:
        return
    columns = np.flatnonzero(occupied.any(axis=1))
    x = (np.arange(tissue.shape[0]) - columns.mean()) * spacing_mm[0]
    y = (np.arange(tissue.shape[1]) - rows[0]) * spacing_mm[1]
    bend = rng.uniform(250, 900)
    below = (np.maximum(np.abs(x) - 60, 0) ** 2 / bend)[:, None] + rng.uniform(1, 5) - y  # from the mattress downwards
    half = rng.uniform(190, 230)
    below = np.where(np.abs(x)[:, None] < half, below, -1.0)
    mattress, board = rng.uniform(8, 30), rng.uniform(20, 50)
    shell = max(4.0, 2 * float(spacing_mm[1]))
    layers = ((0, "foam"), (mattress, "table_shell"), (mattress + shell, "foam"), (mattress + board, "table_shell"))
    plane = np.zeros(below.shape, np.uint8)
    for start, name in (*layers, (mattress + board + shell, "air")):
        plane[below > start] = CODES[name]
    air = tissue == CODES["air"]
    tissue[air] = np.broadcast_to(plane[..., None], tissue.shape)[air]
