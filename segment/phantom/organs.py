"""Solid organs: kidneys, liver, spleen, pancreas, and the gallbladder at the edge of the liver."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_max, smooth_min, tube

def add_kidney(body: Region, patient: SyntheticPatient, side: int, rng: np.random.Generator) -> None:
    """Add one kidney: cortex, pyramids, and a sinus of fat and urine that opens to the front and the middle.

    Args:
        body: The region to add it to.
        patient: The patient.
        side: 1 for the right kidney, -1 for the left.
        rng: Random numbers for its shape.
    """
    name = "right_kidney" if side > 0 else "left_kidney"
    size = patient.organ[name]
    height = -34 if side > 0 else -22  # the right kidney is lower
    center = np.array((side * rng.normal(60, 2.5), rng.normal(-9, 3), rng.normal(height, 7)))
    part = body.crop(center - 75, center + 75)
    turn = _kidney_axes(side, rng)
    radii = np.array((27.3, 32.0, 58)) * size * rng.normal(1, 0.04, 3)
    outside = ellipsoid(part, center, radii, turn) + 1.3 * part.field(rng, 22)
    hilum = center + turn[1] * radii[1] * 0.62
    sinus = ellipsoid(part, hilum, radii * (0.36, 0.55, 0.4), turn) + 0.7 * part.field(rng, 18)
    indent = ellipsoid(part, center + turn[1] * radii[1] * 1.25, radii * (0.5, 0.55, 0.4), turn)
    outside = smooth_max(outside, -indent, 8)
    kidney = part.claim(outside, patient.gap_mm + 1)
    part.occupy(kidney - 2.5)  # a layer of fat around it
    # Pyramids: lumps of medulla between columns of cortex, below a layer of cortex of 7 mm.
    lumps = part.field(rng, 10 * size)
    medulla = np.maximum(np.maximum(kidney + 7 * size, 1.5 - sinus), 2.5 * lumps - 2)
    tissue = np.maximum(kidney, -sinus)
    part.paint(kidney, "visceral_fat")
    part.paint(tissue, "cortex", organ=name)
    part.paint(np.maximum(medulla, tissue + 1), "medulla")
    pelvis = ellipsoid(part, hilum + turn[1] * 4, radii * (0.2, 0.35, 0.24), turn)
    part.paint(np.maximum(pelvis, 1 - tissue), "urine")


def _kidney_axes(side: int, rng: np.random.Generator) -> np.ndarray:
    """Axes (3,3), as rows: thickness, width towards the hilum, length.

    The upper poles are closer to the spine and to the back than the lower poles.
    """
    length = np.array((-side * 0.26, -0.18, 1.0)) + rng.normal(0, 0.05, 3)
    length /= np.linalg.norm(length)
    width = np.array((-side * 0.8, 0.6, 0.0)) + rng.normal(0, 0.08, 3)
    width -= length * (width @ length)
    width /= np.linalg.norm(width)
    return np.stack([np.cross(width, length), width, length])


def add_liver(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the gallbladder, then the right, left and caudate lobes around it, with their veins."""
    part = body.crop((-125, -75, -130), (150, 135, 150))
    size = patient.organ["liver"]
    _add_gallbladder(part, rng)
    right = ellipsoid(part, (70, 16, 30), (84 * size, 94 * size, 107 * size))
    left = ellipsoid(part, (2, 64, 58), (86 * size, 48 * size, 46 * size))
    caudate = ellipsoid(part, (16, 34, 42), (20 * size, 16 * size, 30 * size))
    liver = smooth_min(smooth_min(right, left, 22), caudate, 10)
    # The lower surface rises from the right flank to the left dome.
    tilt = rng.normal(0.52, 0.08)
    low = -37 - 120 * (size - 1) + rng.normal(0, 7) - np.float32(tilt) * (part.x - 60)
    face = low - part.z + np.float32(-0.25) * (part.y - 40) + 7 * part.field(rng, 45)
    liver = smooth_max(liver, face * np.float32(0.86), 14)
    # Left of the vena cava, the liver does not reach far back.
    behind = np.float32(32) - part.y - np.float32(2.2) * np.maximum(part.x - 20, 0)
    liver = smooth_max(liver, behind * np.float32(0.6), 12)
    # The notch of the ligament between the lobes, at the front edge.
    notch = ellipsoid(part, (10, 108, 14), (5, 42, 40)) + 1.5 * part.field(rng, 30)
    liver = smooth_max(liver, -notch, 8) + 2.2 * part.field(rng, 32)
    liver = part.claim(liver, 0.6 * patient.gap_mm)
    texture = 2.5 * part.field(rng, 8) + 2.5 * part.field(rng, 40)
    part.paint(liver, "liver", texture, organ="liver")
    _add_liver_veins(part, liver, rng)


def _add_gallbladder(part: Region, rng: np.random.Generator) -> None:
    if rng.random() < 0.12:  # removed by surgery, or contracted after a meal
        return
    shift = rng.normal(0, 5, 3)
    points = curve(np.array([(38, 42, 6), (48, 58, -12), (58, 74, -34)]) + shift, 6)
    radii = np.interp(np.linspace(0, 1, len(points)), (0, 0.5, 1), np.array((5, 12, 14)) * rng.normal(1, 0.15))
    bag = part.claim(tube(part, points, radii) + 0.8 * part.field(rng, 20), 2)
    part.paint(bag, "gallbladder_wall", organ="gallbladder")
    part.paint(bag + 1.5, "bile")


def _add_liver_veins(part: Region, liver: np.ndarray, rng: np.random.Generator) -> None:
    trees = {
        "hepatic_vein": [
            [(18, 30, 88), (48, 22, 80), (95, 8, 50)],
            [(18, 34, 88), (42, 52, 76), (62, 76, 40)],
            [(16, 36, 86), (-2, 54, 76), (-30, 72, 64)],
            [(48, 22, 80), (70, -8, 62), (88, -30, 36)],
        ],
        "portal_vein": [
            [(26, 44, 26), (50, 34, 38), (78, 34, 34), (108, 34, 18)],
            [(50, 34, 38), (72, 4, 28), (92, -18, 0)],
            [(26, 44, 26), (16, 58, 48), (-8, 72, 58), (-36, 76, 62)],
            [(62, 34, 37), (76, 56, 56), (84, 70, 60)],
        ],
    }
    for name, branches in trees.items():
        for branch in branches:
            points = curve(np.array(branch) + rng.normal(0, 3.5, (len(branch), 3)), 10)
            vein = tube(part, points, np.linspace(5.5, 1.8, len(points)))
            part.paint(np.maximum(vein, liver + 1), name)


def add_spleen(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a crescent along the left ribs at the back, concave towards stomach and kidney."""
    size = patient.organ["spleen"]
    center = np.array((-96, -16, 46)) + rng.normal(0, (3, 5, 7))
    part = body.crop(center - 95, center + 95)
    length = np.array((-0.25, 0.55, -0.8)) + rng.normal(0, 0.12, 3)  # along the tenth rib
    length /= np.linalg.norm(length)
    inward = np.array((0.85, 0.5, 0.1))
    inward = inward - length * float(inward @ length)
    inward /= np.linalg.norm(inward)
    turn = np.stack([inward, np.cross(length, inward), length])
    radii = np.array((38.5, 46, 63)) * size * rng.normal(1, 0.06, 3)
    shape = ellipsoid(part, center, radii, turn)
    hollow = ellipsoid(part, center + inward * (radii[0] + 14), (34 * size, 44 * size, 62 * size), turn)
    shape = smooth_max(shape, -hollow, 8) + 1.6 * part.field(rng, 24)
    spleen = part.claim(shape, 0.6 * patient.gap_mm)
    mottled = 28 if patient.phase == "arterial" else 3  # red and white pulp fill at different speeds
    part.paint(spleen, "spleen", mottled * part.field(rng, 11), organ="spleen")


def add_pancreas(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add head, neck, body and tail across the spine, lobulated by fat."""
    points = np.array(
        [(40, 40, -36), (37, 44, -16), (22, 54, -4), (0, 60, 4), (-26, 52, 12), (-52, 30, 22), (-70, 12, 30)]
    )
    points = curve(points + rng.normal(0, 2.5, points.shape), 8)
    radii = np.interp(np.linspace(0, 1, len(points)), (0, 0.2, 0.4, 0.8, 1), (14, 18, 12, 12, 9)) * rng.normal(1, 0.1)
    part = body.crop((-85, -10, -60), (60, 75, 50))
    gland = part.claim(tube(part, points, radii) + 1.6 * part.field(rng, 9), patient.gap_mm * 0.6)
    part.paint(gland, "pancreas", 8 * part.field(rng, 6), organ="pancreas")
