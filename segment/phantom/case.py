"""One synthetic case, from its seed to its voxels."""

from dataclasses import dataclass

import numpy as np

from segment.phantom import gut, organs, vessels
from segment.phantom.chest import add_chest
from segment.phantom.disease import add_disease
from segment.phantom.field_of_view import FieldOfView, sample_field_of_view
from segment.phantom.patient import UP, SyntheticPatient, sample_patient
from segment.phantom.pelvis import add_pelvis
from segment.phantom.region import Region
from segment.phantom.scanner import add_table, form_image
from segment.phantom.skeleton import add_skeleton
from segment.phantom.trunk import add_trunk, back_mm

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class SyntheticCase:
    """A case in RAS+ orientation.

    Attributes:
        hu: (I,J,K) int16.
        label: (I,J,K) uint8, codes of `region.LABELS`.
        tissue: (I,J,K) uint8, codes of `tissues.CODES`: everything that was drawn, not only the organs.
        spacing_mm: (3,) size of a voxel.
        patient: The patient.
    """

    hu: np.ndarray
    label: np.ndarray
    tissue: np.ndarray
    spacing_mm: np.ndarray
    patient: SyntheticPatient


def synthesise_case(seed: int, index: int, shape: Shape) -> SyntheticCase:
    """Synthesise case `index`: a pure function of the arguments. The anatomy does not depend on `shape`."""
    streams = np.random.SeedSequence((seed, index)).spawn(4)
    patient_rng, position_rng, anatomy_rng, scan_rng = (np.random.default_rng(stream) for stream in streams)
    patient = sample_patient(patient_rng)
    view = sample_field_of_view(patient, shape, position_rng)
    body = _position_patient(patient, view, shape, position_rng)
    add_table(body, back_mm(patient))
    inside = _add_anatomy(body, patient, anatomy_rng)
    hu = form_image(body.hu, inside, view.spacing_mm, scan_rng)
    return SyntheticCase(hu, body.label, body.tissue, view.spacing_mm, patient)


def _position_patient(
    patient: SyntheticPatient, view: FieldOfView, shape: Shape, rng: np.random.Generator
) -> Region:
    """An empty region for the field of view, in which the patient lies a little bent."""
    axes = []
    for n, step, middle, scale in zip(shape, view.spacing_mm, view.middle_mm, patient.scale, strict=True):
        axes.append((((np.arange(n) - (n - 1) / 2) * step + middle) / scale).astype(np.float32))
    x, y, z = (np.zeros(shape, np.float32) for _ in range(3))
    body = Region(
        axes=(axes[0], axes[1], axes[2]),
        x=x,
        y=y,
        z=z,
        hu=np.full(shape, -1000, np.float32),
        tissue=np.zeros(shape, np.uint8),
        label=np.zeros(shape, np.uint8),
        free=np.full(shape, 1e3, np.float32),
        edge_mm=float(np.mean(view.spacing_mm / patient.scale)),
        tissue_hu=patient.hu,
        up=UP[patient.position],
    )
    for straight, bent in zip(np.ix_(*axes), (x, y, z), strict=True):
        bent += straight + 2.8 * body.field(rng, 85) + 0.8 * body.field(rng, 40)
    return body


def _add_anatomy(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> np.ndarray:
    """Add all structures. Each takes the room that earlier ones have left. Returns the mask of the body."""
    trunk = add_trunk(body, patient, rng)
    add_skeleton(body, trunk, patient, rng)
    add_chest(body, trunk, patient, rng)
    vessels.add_great_vessels(body, rng)
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        if name not in patient.absent:
            organs.add_kidney(body, patient, side, rng)
    organs.add_liver(body, patient, rng)
    if "spleen" not in patient.absent:
        organs.add_spleen(body, patient, rng)
    organs.add_pancreas(body, patient, rng)
    add_pelvis(body, trunk, patient, rng)
    gut.add_stomach(body, patient, rng)
    gut.add_duodenum(body, patient, rng)
    gut.add_colon(body, patient, rng)
    vessels.add_mesentery(body, rng)
    gut.add_small_bowel(body, patient, rng)
    add_disease(body, trunk, patient, rng)
    return np.asarray(trunk.skin < 0)
