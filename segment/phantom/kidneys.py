"""Kidneys: cortex, medulla and sinus, with their rare positions and forms."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import axes_along, curve, ellipsoid, smooth_max, smooth_min, tube

# Half axes of an average kidney: thickness, width towards the hilum, length. In 1040 adults the length on CT was 109 ±
# 12 mm on the right and 111 ± 13 mm on the left (Glodny et al. 2009, BMC Urology 9:19). Volumes: see patient.py.
_KIDNEY_MM = (27.3, 32.0, 58.0)

# How often kidneys vary: guesses. 1 in 400 to 600 people have a horseshoe kidney (PMC5510309) and about 1 in 2000 to
# 3000 a pelvic one; rare forms are sampled more often than they occur, so that networks see them in training.
_HORSESHOE, _PELVIC, _LOW, _MALROTATED, _SHRUNKEN = 0.008, 0.008, 0.04, 0.05, 0.05
_LOBULATED, _HUMP, _EXTRARENAL_PELVIS = 0.2, 0.12, 0.12

# Heights in mm: the middle between both kidneys, and by how much the left one is higher, mean and standard deviation.
# The liver keeps the right kidney 10 to 20 mm lower in 85 to 90 % of people, as textbooks of anatomy state. Both share
# the patient's build and breath, so that they differ less than the heights of two patients do.
_MIDDLE_MM, _LEFT_HIGHER_MM = (-28.0, 8.0), (14.0, 11.0)

_SIDES = (("right_kidney", 1), ("left_kidney", -1))


@dataclass(frozen=True)
class KidneyPlan:
    """Position, size and form of a kidney.

    Attributes:
        center: Centre in anatomical mm.
        turn: (3,3), the directions as rows: thickness, width towards the hilum, length.
        radii: Half axes in mm.
        size: Length relative to the average.
        kind: "normal", "low", "pelvic" or "horseshoe".
    """

    center: np.ndarray
    turn: np.ndarray
    radii: np.ndarray
    size: float
    kind: str


def add_kidneys(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, KidneyPlan]:
    """Add both kidneys, or the one that is left; returns the plans of those added, by name."""
    plans, shapes = plan_kidneys(patient, rng), rng.spawn(2)
    added, capsules = {}, []
    for (name, plan), shape in zip(plans.items(), shapes, strict=True):
        if name not in patient.absent:
            added[name] = plan
            capsules.append(_add_kidney(body, patient, name, plan, shape))
    if all(plan.kind == "horseshoe" for plan in plans.values()):
        _join_kidneys(body, list(plans.values()))
    # The fat comes last, because it must not keep the two halves of a horseshoe kidney apart.
    for part, capsule in capsules:
        part.occupy(capsule)
    return added


def plan_kidneys(patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, KidneyPlan]:
    """Sample a plan for each kidney, by its name, even for one that was removed; the other one is then larger."""
    removed = bool({name for name, _ in _SIDES} & patient.absent)
    fused = not removed and rng.random() < _HORSESHOE
    middle, higher = rng.normal(*_MIDDLE_MM), rng.normal(*_LEFT_HIGHER_MM)
    higher *= 0.3 if fused else 1.0  # the bridge holds them together
    plans = {}
    for (name, side), own in zip(_SIDES, rng.spawn(2), strict=True):
        size = patient.organ[name] * (1.12 if removed else 1.0)
        plans[name] = _plan_kidney(patient, side, size, float(middle - side * higher / 2), fused, own)
    return plans


def _plan_kidney(
    patient: SyntheticPatient, side: int, size: float, height: float, fused: bool, rng: np.random.Generator
) -> KidneyPlan:
    """Sample position, direction and size; `size` is the length relative to the average of the age, `height` in mm."""
    size *= 1 + 0.005 * max(16 - patient.age, 0) - 0.0012 * max(patient.age - 50, 0)
    away = 5 * patient.visceral  # from spine and back
    center = np.array((side * (rng.normal(59, 3.5) + away), rng.normal(-9, 4) + away, height))
    length, width = np.array((-side * 0.26, -0.18, 1.0)), np.array((-side * 0.8, 0.6, 0.0))
    kind = "horseshoe" if fused else _sample_kind(rng)
    if kind == "horseshoe":
        # The lower poles cross the psoas and meet in front of the great vessels. The hila look to the front.
        center = np.array((side * 50, 26, height - 28))
        length, width = np.array((side * 0.45, -0.42, 1.0)), np.array((-side * 0.3, 1, 0.3))
    elif kind == "pelvic":
        center = np.array((side * rng.uniform(8, 30), rng.uniform(30, 42), rng.uniform(-185, -140)))
        length, width = rng.normal((0, 0, 1), 0.6), np.array((0, 1, 0.2))
    elif kind == "low":
        center += (0, 12, -float(rng.uniform(25, 75)))
    if rng.random() < _MALROTATED:
        width = np.array((side * rng.uniform(-0.4, 0.4), 1, 0))
    if rng.random() < _SHRUNKEN:
        size *= float(rng.uniform(0.6, 0.85))
    turn = axes_along(length + rng.normal(0, 0.09, 3), width + rng.normal(0, 0.15, 3))
    return KidneyPlan(center, turn, np.array(_KIDNEY_MM) * size * rng.normal(1, 0.045, 3), size, kind)


def _sample_kind(rng: np.random.Generator) -> str:
    kind = rng.random()
    if kind < _PELVIC:
        return "pelvic"
    if kind < _PELVIC + _LOW:
        return "low"
    return "normal"


def _add_kidney(
    body: Region, patient: SyntheticPatient, name: str, plan: KidneyPlan, rng: np.random.Generator
) -> tuple[Region, np.ndarray]:
    """Add cortex, pyramids, and a sinus of fat and urine that opens towards the hilum.

    Returns:
        A part of the body, and the distance in mm to the capsule of fat that keeps other organs away.
    """
    center, turn, radii, size = plan.center, plan.turn, plan.radii, plan.size
    part = body.crop(center - 80, center + 80)
    # Fat in the sinus grows with age and weight.
    fat = float(rng.normal(0.8, 0.12)) + 0.15 * patient.visceral + 0.004 * max(patient.age - 40, 0)
    outside = _kidney_surface(part, name, plan, rng)
    hilum = center + turn[1] * radii[1] * 0.62
    sinus = ellipsoid(part, hilum, radii * (0.36, 0.55, 0.42) * fat, turn) + 0.7 * part.field(rng, 18)
    indent = ellipsoid(part, center + turn[1] * radii[1] * 1.25, radii * (0.5, 0.55, 0.4), turn)
    kidney = part.claim(smooth_max(outside, -indent, 8), 0.5 + 0.7 * patient.gap_mm, whole=True)
    # Between 1 and 20 mm of perirenal fat; bowel and vessels touch a kidney in the pelvis.
    fat_mm = float(rng.uniform(0.2, 1)) * (5 if plan.kind == "pelvic" else 18) * patient.visceral
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
    return part, kidney - np.float32(fat_mm)


def _kidney_surface(part: Region, name: str, plan: KidneyPlan, rng: np.random.Generator) -> np.ndarray:
    """An ellipsoid with bumps, sometimes with lobes as in newborns or with the hump that the spleen may cause."""
    lobulated, hump = rng.random(2)
    surface = ellipsoid(part, plan.center, plan.radii, plan.turn)
    surface = surface + (2.8 if lobulated < _LOBULATED else 1.3) * part.field(rng, 20)
    if name == "left_kidney" and hump < _HUMP:
        bump = plan.center - plan.turn[1] * plan.radii[1] * 0.8
        surface = smooth_min(surface, ellipsoid(part, bump, (13, 12, 18), plan.turn), 12)
    return surface


def _join_kidneys(body: Region, plans: list[KidneyPlan]) -> None:
    """Add the bridge of tissue between the lower poles of a horseshoe kidney, on the front of aorta and vena cava."""
    right, left = (plan.center - plan.turn[2] * plan.radii[2] * 0.7 for plan in plans)
    middle = (right + left) / 2 * (0, 1, 1)
    radius = 11.0 * min(plan.size for plan in plans)
    middle[1] = max(middle[1], _front_of_vessels(body, middle[2]) + 0.8 * radius)
    points = curve(np.array((right, middle, left)), 9)
    part = body.crop(points.min(0) - 20, points.max(0) + 20)
    bridge = part.claim(tube(part, points, np.full(len(points), radius)), 0)
    for name, side in _SIDES:
        part.paint(np.maximum(bridge, -side * part.x), "cortex", organ=name)


def _front_of_vessels(body: Region, z: float) -> float:
    """The y in mm of the front of aorta and vena cava around a height; at least 40, also if the scan lacks them."""
    part = body.crop((-20, 0, z), (20, 60, z))
    vessels = np.isin(part.label, (LABELS["aorta"], LABELS["vena_cava"]))
    return float(part.y[vessels].max(initial=40.0))
