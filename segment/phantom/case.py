"""One synthetic case, from its seed to its voxels."""

from dataclasses import dataclass

import numpy as np

from segment.phantom import gut, organs, vessels
from segment.phantom.patient import SyntheticPatient, sample_patient
from segment.phantom.region import Region
from segment.phantom.scanner import add_table, form_image
from segment.phantom.skeleton import add_skeleton
from segment.phantom.trunk import add_trunk, back_mm

# The codes of FLARE22 for the organs in the label; everything else is 0.
LABELS = {
    "liver": 1,
    "right_kidney": 2,
    "spleen": 3,
    "pancreas": 4,
    "aorta": 5,
    "vena_cava": 6,
    "gallbladder": 9,
    "stomach": 11,
    "left_kidney": 13,
}

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class SyntheticCase:
    """A case in RAS+ orientation.

    Attributes:
        hu: (I,J,K) int16.
        label: (I,J,K) uint8, codes of LABELS.
        spacing_mm: (3,) size of a voxel.
        patient: The patient.
    """

    hu: np.ndarray
    label: np.ndarray
    spacing_mm: np.ndarray
    patient: SyntheticPatient


def synthesise_case(seed: int, index: int, shape: Shape) -> SyntheticCase:
    """Synthesise case `index`: a pure function of the arguments. The anatomy does not depend on `shape`."""
    streams = np.random.SeedSequence((seed, index)).spawn(4)
    patient_rng, position_rng, anatomy_rng, scan_rng = (np.random.default_rng(stream) for stream in streams)
    patient = sample_patient(patient_rng)
    body, spacing_mm = _position_patient(patient, shape, position_rng)
    add_table(body, back_mm(patient))
    inside = _add_anatomy(body, patient, anatomy_rng)
    hu = form_image(body.hu, inside, spacing_mm, scan_rng)
    return SyntheticCase(hu, body.label, spacing_mm, patient)


def _position_patient(patient: SyntheticPatient, shape: Shape, rng: np.random.Generator) -> tuple[Region, np.ndarray]:
    """An empty region with a plausible field of view, and the size of its voxels in mm."""
    width = 2 * (141 + 1.1 * patient.subcutaneous_mm) * patient.scale[0]
    fov = float(np.clip(width * rng.uniform(1.02, 1.15), 330, 420))
    length, top = rng.uniform(240, 330), rng.uniform(112, 140)
    cut = rng.random()  # decides whether an end of the scan cuts organs off
    if cut < 0.1:  # starts below the dome of the liver
        top = rng.uniform(60, 85)
    elif cut < 0.2:  # ends above the lower poles of the kidneys
        length = rng.uniform(240, 250)
        top = rng.uniform(-62, -45) * patient.scale[2] + length
    spacing_mm = np.array((fov / shape[0], fov / shape[1], length / shape[2]))
    middle = np.array((rng.normal(0, 5), 18 + rng.normal(0, 8), top - length / 2))
    axes = [
        ((np.arange(n) - (n - 1) / 2) * step + center) / scale
        for n, step, center, scale in zip(shape, spacing_mm, middle, patient.scale, strict=True)
    ]
    first, second, third = (axis.astype(np.float32) for axis in axes)
    x, y, z = (np.zeros(shape, np.float32) for _ in range(3))
    hu, free = np.full(shape, -1000, np.float32), np.full(shape, 1e3, np.float32)
    edge_mm = float(np.mean(spacing_mm / patient.scale))
    body = Region((first, second, third), x, y, z, hu, np.zeros(shape, np.uint8), free, edge_mm)
    for straight, bent in zip(np.ix_(first, second, third), (body.x, body.y, body.z), strict=True):
        bent += straight + 2.8 * body.field(rng, 85) + 0.8 * body.field(rng, 40)
    return body, spacing_mm


def _add_anatomy(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> np.ndarray:
    """Add all structures. Each takes the room that earlier ones have left. Returns the mask of the body."""
    trunk = add_trunk(body, patient, rng)
    add_skeleton(body, trunk, patient, rng)
    vessels.add_heart(body, patient)
    vessels.add_great_vessels(body, patient, LABELS, rng)
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        if name not in patient.absent:
            organs.add_kidney(body, patient, side, LABELS, rng)
    organs.add_liver(body, patient, LABELS, rng)
    if "spleen" not in patient.absent:
        organs.add_spleen(body, patient, LABELS, rng)
    organs.add_pancreas(body, patient, LABELS, rng)
    gut.add_stomach(body, patient, LABELS, rng)
    gut.add_duodenum(body, patient, rng)
    gut.add_colon(body, patient, rng)
    vessels.add_mesentery(body, patient, rng)
    gut.add_small_bowel(body, patient, rng)
    return trunk.skin < 0
