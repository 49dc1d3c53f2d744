"""One synthetic case, from its seed to its voxels."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.breasts import add_breasts
from segment.phantom.breath import breathe
from segment.phantom.chest import add_chest
from segment.phantom.colon import add_colon, sample_colon_first
from segment.phantom.disease import Findings, add_disease, sample_findings
from segment.phantom.field_of_view import SCANS, FieldOfView, sample_field_of_view
from segment.phantom.fluids import add_ascites
from segment.phantom.hips import add_hips
from segment.phantom.kidneys import add_kidneys
from segment.phantom.liver import add_liver
from segment.phantom.meal import Meal, sample_meal
from segment.phantom.organs import add_adrenals, add_pancreas
from segment.phantom.patient import UP, SyntheticPatient, sample_patient
from segment.phantom.pelvis import add_pelvis
from segment.phantom.portal import add_mesentery, add_portal_veins
from segment.phantom.region import Region
from segment.phantom.scanner import add_table, form_ideal_image, form_image
from segment.phantom.shoulder import add_shoulders
from segment.phantom.skeleton import add_skeleton, sample_frame
from segment.phantom.small_bowel import add_small_bowel
from segment.phantom.spleen import add_spleen
from segment.phantom.stomach import add_duodenum, add_hiatus_hernia, add_stomach
from segment.phantom.trunk import add_trunk, back_mm
from segment.phantom.urinary import add_ureters
from segment.phantom.vessels import add_great_vessels

Shape = tuple[int, int, int]

# What can be left out, to measure what it is worth. disease: whatever a healthy patient without surgery does not have,
# devices included. scanner: blur, noise, streaks, beam hardening and padding.
LEAVABLE = ("disease", "scanner")


@dataclass(frozen=True)
class SyntheticCase:
    """A case in RAS+ orientation.

    Attributes:
        hu: (I,J,K) int16.
        label: (I,J,K) uint8, codes of `region.LABELS`.
        tissue: (I,J,K) uint8, codes of `tissues.CODES`: all structures, not only the organs.
        view: The field of view.
        patient: The patient.
    """

    hu: np.ndarray
    label: np.ndarray
    tissue: np.ndarray
    view: FieldOfView
    patient: SyntheticPatient

    @property
    def spacing_mm(self) -> np.ndarray:
        """(3,) size of a voxel."""
        return self.view.spacing_mm


def synthesise_case(
    seed: int, index: int, shape: Shape, scans: Collection[str] = tuple(SCANS), without: Collection[str] = ()
) -> SyntheticCase:
    """Synthesise case `index`: a pure function of the arguments. The anatomy does not depend on `shape` and `scans`.

    Without disease, a patient has the same organs as with it, unless the disease shapes them: ascites, a cirrhotic
    liver or an absent organ.

    Args:
        seed: Seed of the data set.
        index: Number of the case.
        shape: Voxels along right, front, head.
        scans: Parts of the body that may be scanned, keys of `field_of_view.SCANS`.
        without: What to leave out, names of LEAVABLE.
    """
    streams = np.random.SeedSequence((seed, index)).spawn(4)
    patient_rng, position_rng, anatomy_rng, scan_rng = (np.random.default_rng(stream) for stream in streams)
    healthy, ideal = "disease" in without, "scanner" in without
    patient = sample_patient(patient_rng)
    if healthy:
        patient = replace(patient, absent=frozenset(), cirrhotic=False)
    view = sample_field_of_view(patient, shape, position_rng, scans)
    body = _position_patient(patient, view, shape, position_rng)
    add_table(body, back_mm(patient), position_rng)
    inside = _add_anatomy(body, patient, healthy, anatomy_rng)
    scan = form_ideal_image(body.hu) if ideal else form_image(body.hu, inside, view.spacing_mm, scan_rng)
    label, tissue = (np.where(scan.measured, codes, np.uint8(0)) for codes in (body.label, body.tissue))
    return SyntheticCase(scan.hu, label, tissue, view, patient)


def _position_patient(patient: SyntheticPatient, view: FieldOfView, shape: Shape, rng: np.random.Generator) -> Region:
    """An empty region for the field of view, with the coordinates of a slightly bent body."""
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


def _add_anatomy(body: Region, patient: SyntheticPatient, healthy: bool, rng: np.random.Generator) -> np.ndarray:
    """Add all structures, each in the room that earlier ones have left, and return the mask of the body."""
    trunk = add_trunk(body, patient, rng)
    add_hips(body, trunk, patient, rng)
    frame = sample_frame(body, trunk, patient, rng)
    add_shoulders(body, frame.cage, trunk.arms, patient, rng)
    add_breasts(body, trunk.breasts, trunk.lean, rng)
    add_skeleton(body, trunk, frame, patient, rng)
    add_chest(body, trunk, frame, patient, rng)
    findings = sample_findings(patient, rng)
    if healthy:
        findings = Findings(portal_hypertension=False, ascites_mm=0.0)
    organs = breathe(body, patient)
    add_great_vessels(organs, patient, rng)
    add_portal_veins(organs, findings.portal_hypertension, rng)
    # Organs behind the peritoneum come first, because the bowel does not displace them; a kidney in the pelvis
    # displaces bladder and bowel.
    add_adrenals(organs, patient, rng)
    kidneys = add_kidneys(organs, patient, rng)
    add_pelvis(organs, patient, rng)
    add_ascites(organs, trunk, findings.ascites_mm, rng)
    meal = sample_meal(patient, rng)
    _add_organs(organs, patient, meal, rng)
    add_ureters(organs, patient, rng)
    add_mesentery(organs, rng)
    add_small_bowel(organs, patient, meal, rng)
    if not healthy:
        add_disease(body, trunk, patient, findings, kidneys, rng)
    return np.asarray(trunk.skin < 0)


def _add_organs(body: Region, patient: SyntheticPatient, meal: Meal, rng: np.random.Generator) -> None:
    """Add spleen, pancreas, liver, stomach and colon. High flexures and a full stomach push the liver aside."""
    colon_first = sample_colon_first(rng)
    colon_rng, stomach_rng = rng.spawn(2)
    if colon_first:
        add_colon(body, patient, meal, colon_first, colon_rng)
    add_spleen(body, patient, rng)
    add_pancreas(body, patient, rng)  # before the organs in front of it, which adapt to its shape
    if meal.large:
        add_stomach(body, patient, meal, stomach_rng)
    add_liver(body, patient, rng)
    if not meal.large:
        add_stomach(body, patient, meal, stomach_rng)
    add_hiatus_hernia(body, meal, rng)
    add_duodenum(body, patient, meal, rng)
    if not colon_first:
        add_colon(body, patient, meal, colon_first, colon_rng)
