"""Kidneys: cortex, medulla and sinus, with their rare positions and forms."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import axes_along, curve, ellipsoid, smooth_max, smooth_min, tube

# Half axes of an average kidney: thickness, width towards the hilum, length. In 1040 adults the length on CT was 109 ±
# 12 mm on the right and 111 ± 13 mm on the left (Glodny et al. 2009, BMC Urology 9:19). Volumes: see patient.py.
_KIDNEY_MM = (27.3, 32.0, 58.0)

# How often kidneys vary: guesses. 1 in 400 to 600 people have a horseshoe kidney (PMC5510309) and about 1 in 2000 to
# 3000 a pelvic one; rare forms are sampled more often than they occur, because a network must have seen them.
_HORSESHOE, _PELVIC, _LOW, _MALROTATED, _SHRUNKEN = 0.008, 0.008, 0.04, 0.05, 0.05
_LOBULATED, _HUMP, _EXTRARENAL_PELVIS = 0.2, 0.12, 0.12


@dataclass(frozen=True)
class _KidneyPlan:
    """Where a kidney lies and how it looks.

    Attributes:
        center: Centre in anatomical mm.
        turn: (3,3), the directions as rows: thickness, width towards the hilum, length.
        radii: Half axes in mm.
        size: Length relative to the average.
    """

    center: np.ndarray
    turn: np.ndarray
    radii: np.ndarray
    size: float


def add_kidneys(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add both kidneys, or the one that is left."""
    absent = {"right_kidney", "left_kidney"} & patient.absent
    fused = not absent and rng.random() < _HORSESHOE
    plans = []
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        own, shape = rng.spawn(2)
        plan = _plan_kidney(patient, side, fused, 1.12 if absent else 1.0, own)
        plans.append(plan)
        if name not in absent:
            _add_kidney(body, patient, name, plan, shape)
    if fused:
        _join_kidneys(body, patient, plans)


def _plan_kidney(
    patient: SyntheticPatient, side: int, fused: bool, hypertrophy: float, rng: np.random.Generator
) -> _KidneyPlan:
    """Sample position, direction and size; the right kidney is lower."""
    size = patient.organ["right_kidney" if side > 0 else "left_kidney"] * hypertrophy
    size *= 1 + 0.005 * max(16 - patient.age, 0) - 0.0012 * max(patient.age - 50, 0)
    height = (-34 if side > 0 else -22) + rng.normal(0, 9)
    away = 5 * patient.visceral  # from spine and back
    center = np.array((side * (rng.normal(59, 3.5) + away), rng.normal(-9, 4) + away, height))
    length, width = np.array((-side * 0.26, -0.18, 1.0)), np.array((-side * 0.8, 0.6, 0.0))
    kind = rng.random()
    if fused:  # the lower poles meet in front of the spine, and the hila look to the front
        center, length, width = np.array((side * 48, 8, -58)), np.array((side * 0.5, -0.3, 1.0)), np.array((0, 1, 0.3))
    elif kind < _PELVIC:
        center = np.array((side * rng.uniform(8, 30), rng.uniform(22, 34), rng.uniform(-185, -140)))
        length, width = rng.normal((0, 0, 1), 0.6), np.array((0, 1, 0.2))
    elif kind < _PELVIC + _LOW:
        center += (0, 12, -float(rng.uniform(25, 75)))
    if rng.random() < _MALROTATED:
        width = np.array((side * rng.uniform(-0.4, 0.4), 1, 0))
    if rng.random() < _SHRUNKEN:
        size *= float(rng.uniform(0.6, 0.85))
    turn = axes_along(length + rng.normal(0, 0.09, 3), width + rng.normal(0, 0.15, 3))
    return _KidneyPlan(center, turn, np.array(_KIDNEY_MM) * size * rng.normal(1, 0.045, 3), size)


def _add_kidney(
    body: Region, patient: SyntheticPatient, name: str, plan: _KidneyPlan, rng: np.random.Generator
) -> None:
    """Add cortex, pyramids, and a sinus of fat and urine that opens towards the hilum, in a capsule of fat."""
    center, turn, radii, size = plan.center, plan.turn, plan.radii, plan.size
    part = body.crop(center - 80, center + 80)
    # Fat in the sinus grows with age and weight.
    fat = float(rng.normal(0.8, 0.12)) + 0.15 * patient.visceral + 0.004 * max(patient.age - 40, 0)
    outside = _kidney_surface(part, name, plan, rng)
    hilum = center + turn[1] * radii[1] * 0.62
    sinus = ellipsoid(part, hilum, radii * (0.36, 0.55, 0.42) * fat, turn) + 0.7 * part.field(rng, 18)
    indent = ellipsoid(part, center + turn[1] * radii[1] * 1.25, radii * (0.5, 0.55, 0.4), turn)
    kidney = part.claim(smooth_max(outside, -indent, 8), 0.5 + 0.7 * patient.gap_mm)
    # Between 1 and 20 mm of perirenal fat keep other organs away.
    part.occupy(kidney - float(rng.uniform(0.2, 1)) * 18 * patient.visceral)
    # Pyramids: lumps of medulla between columns of cortex, below a layer of cortex of 7 mm.
    lumps = part.field(rng, 10 * size)
    medulla = np.maximum(np.maximum(kidney + 7 * size, 1.5 - sinus), 2.5 * lumps - 2)
    tissue = np.maximum(kidney, -sinus)
    part.paint(kidney, "visceral_fat")
    part.paint(tissue, "cortex", organ=name)
    part.paint(np.maximum(medulla, tissue + 1), "medulla")
    wide = float(rng.uniform(0.6, 1.3))
    pelvis = ellipsoid(part, hilum + turn[1] * 4, radii * (0.2, 0.35, 0.24) * wide, turn)
    if rng.random() < _EXTRARENAL_PELVIS:
        bag = ellipsoid(part, hilum + turn[1] * 22, rng.uniform(6, 13) * np.array((0.8, 1.3, 1.2)), turn)
        pelvis = smooth_min(pelvis, part.claim(np.maximum(bag, -kidney), 1), 4)
    part.paint(np.maximum(pelvis, 1 - tissue), "urine")


def _kidney_surface(part: Region, name: str, plan: _KidneyPlan, rng: np.random.Generator) -> np.ndarray:
    """An ellipsoid with bumps, lobes as in the newborn now and then, and the hump that the spleen may cause."""
    lobulated, hump = rng.random(2)
    surface = ellipsoid(part, plan.center, plan.radii, plan.turn)
    surface = surface + (2.8 if lobulated < _LOBULATED else 1.3) * part.field(rng, 20)
    if name == "left_kidney" and hump < _HUMP:
        bump = plan.center - plan.turn[1] * plan.radii[1] * 0.8
        surface = smooth_min(surface, ellipsoid(part, bump, (13, 12, 18), plan.turn), 12)
    return surface


def _join_kidneys(body: Region, patient: SyntheticPatient, plans: list[_KidneyPlan]) -> None:
    """Add the bridge of tissue between the lower poles of a horseshoe kidney."""
    right, left = (plan.center - plan.turn[2] * plan.radii[2] * 0.75 for plan in plans)
    points = curve(np.array((right, ((right + left) / 2) * (0, 1, 1) + (0, 34, -4), left)), 9)
    part = body.crop(points.min(0) - 20, points.max(0) + 20)
    bridge = part.claim(tube(part, points, np.full(len(points), 12.0)), 0.3 * patient.gap_mm)
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        part.paint(np.maximum(bridge, -side * part.x), "cortex", organ=name)
