"""The field of view of a scan: which part of the body is scanned, in which grid."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient

# Parts of the body that are scanned: share of the scans, range of the lower end and range of the upper end. Heights are
# in mm, with L1 at 0.
SCANS: dict[str, tuple[float, tuple[float, float], tuple[float, float]]] = {
    "chest, abdomen and pelvis": (0.22, (-335, -265), (290, 350)),
    "abdomen and pelvis": (0.25, (-325, -240), (95, 150)),
    "abdomen": (0.22, (-190, -115), (100, 140)),
    "chest and upper abdomen": (0.13, (-110, -20), (285, 345)),
    "upper abdomen": (0.07, (-95, -40), (60, 130)),
    "slab": (0.11, (-90, 60), (-40, 120)),
}
SLAB_MM = (30.0, 90.0)  # length of a slab


@dataclass(frozen=True)
class FieldOfView:
    """A grid in the patient, along the axes right, front, head.

    Attributes:
        scan: The part of the body, a key of SCANS.
        spacing_mm: (3,) size of a voxel.
        middle_mm: (3,) middle of the grid in anatomical mm times the patient's scale.
    """

    scan: str
    spacing_mm: np.ndarray
    middle_mm: np.ndarray


def sample_field_of_view(
    patient: SyntheticPatient,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    scans: Collection[str] = tuple(SCANS),
) -> FieldOfView:
    """Sample the part of the body and the grid. The number of voxels is given, so a longer scan has thicker slices.

    Args:
        patient: The patient.
        shape: Number of voxels along right, front, head.
        rng: Random numbers.
        scans: Keys of SCANS to choose from, at least one. They keep their shares relative to each other.
    """
    scale = np.array(patient.scale)
    # `own` repeats the choice, so that all other random numbers are independent of `scans`.
    name, own = _sample_scan(rng), rng.spawn(1)[0]
    while name not in scans:
        name = _sample_scan(own)
    _, low, high = SCANS[name]
    top = float(rng.uniform(*high))
    bottom = top - float(rng.uniform(*SLAB_MM)) if name == "slab" else float(rng.uniform(*low))
    length = (top - bottom) * scale[2]
    width = 2 * (141 + 1.1 * patient.subcutaneous_mm) * scale[0]
    side = float(np.clip(width * rng.uniform(1.02, 1.18), 0.8 * min(width, 330), 500))
    if rng.random() < 0.15:  # a technician's choice: the whole bore, or a magnified part
        side = float(rng.uniform(0.75, 1.0) * width) if rng.random() < 0.4 else 500.0
    spread = 25 if rng.random() < 0.15 else 6
    middle_y = 18 + rng.normal(0, 8)
    middle = np.array((rng.normal(0, spread), middle_y + rng.normal(0, spread / 2), 0)) * scale
    middle[2] = (top + bottom) / 2 * scale[2]
    return FieldOfView(name, np.array((side / shape[0], side / shape[1], length / shape[2])), middle)


def _sample_scan(rng: np.random.Generator) -> str:
    names = list(SCANS)
    return names[int(rng.choice(len(names), p=[share for share, _, _ in SCANS.values()]))]
