"""One synthetic case, from its seed to voxels."""

from dataclasses import dataclass

import numpy as np

from segment.phantom import gut, organs, vessels
from segment.phantom.patient import SyntheticPatient, sample_patient
from segment.phantom.region import Region
from segment.phantom.scanner import draw_table, form_image
from segment.phantom.skeleton import draw_skeleton
from segment.phantom.trunk import back_mm, draw_trunk

# The codes of FLARE22 for what is drawn; everything else is 0.
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
class Drawing:
    """A case in RAS+ order.

    Attributes:
        hu: (I,J,K) int16.
        label: (I,J,K) uint8, codes of LABELS.
        spacing_mm: (3,) size of a voxel.
        patient: Who it is.
    """

    hu: np.ndarray
    label: np.ndarray
    spacing_mm: np.ndarray
    patient: SyntheticPatient


def draw_case(seed: int, index: int, shape: Shape) -> Drawing:
    """Draw case `index`: a pure function of its arguments, whose anatomy does not depend on the shape."""
    streams = np.random.SeedSequence((seed, index)).spawn(4)
    who, where, what, scan = (np.random.default_rng(stream) for stream in streams)
    patient = sample_patient(who)
    body, spacing_mm = _lay_down(patient, shape, where)
    draw_table(body, back_mm(patient))
    inside = _draw_anatomy(body, patient, what)
    return Drawing(form_image(body.hu, inside, spacing_mm, scan), body.label, spacing_mm, patient)


def _lay_down(patient: SyntheticPatient, shape: Shape, rng: np.random.Generator) -> tuple[Region, np.ndarray]:
    """An empty region with the field of view that a technician would choose, and its spacing in true mm."""
    width = 2 * (141 + 1.1 * patient.subcutaneous_mm) * patient.scale[0]
    fov = float(np.clip(width * rng.uniform(1.02, 1.15), 330, 420))
    length, top = rng.uniform(240, 330), rng.uniform(112, 140)
    cut = rng.random()
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


def _draw_anatomy(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> np.ndarray:
    """Draw everything; what comes first takes its room, what comes later gets the rest. Returns the body's mask."""
    trunk = draw_trunk(body, patient, rng)
    draw_skeleton(body, trunk, patient, rng)
    vessels.draw_heart(body, patient)
    vessels.draw_great_vessels(body, patient, LABELS, rng)
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        if name not in patient.absent:
            organs.draw_kidney(body, patient, side, LABELS, rng)
    organs.draw_liver(body, patient, LABELS, rng)
    if "spleen" not in patient.absent:
        organs.draw_spleen(body, patient, LABELS, rng)
    organs.draw_pancreas(body, patient, LABELS, rng)
    gut.draw_stomach(body, patient, LABELS, rng)
    gut.draw_duodenum(body, patient, rng)
    gut.draw_colon(body, patient, rng)
    vessels.draw_mesentery(body, patient, rng)
    gut.draw_small_bowel(body, patient, rng)
    return trunk.skin < 0
