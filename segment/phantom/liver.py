"""The liver with its fissures and veins, and the gallbladder."""

from dataclasses import replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import axes_along, curve, ellipsoid, plate, smooth_max, smooth_min, tube


def add_liver(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the gallbladder, then the lobes of the liver around it, with fissures and veins."""
    part = body.crop((-130, -80, -190), (150, 135, 150))
    size = patient.organ["liver"] * (1 + 0.009 * max(16 - patient.age, 0))  # children: 4 % of the weight, adults: 2.4 %
    gallbladder, lobes, fissures, veins, texture = rng.spawn(5)
    _add_gallbladder(part, gallbladder)
    liver = _liver_lobes(part, size, patient.cirrhotic, lobes)
    liver = _cut_fissures(part, liver, fissures)
    liver = part.claim(liver, 0.4 + 0.35 * patient.gap_mm, whole=True)
    uneven = 2.5 * part.field(texture, 8) + texture.uniform(1, 5) * part.field(texture, 40)
    part.paint(liver, "liver", uneven, organ="liver")
    _add_liver_veins(part, liver, patient.phase, veins)


def _liver_lobes(part: Region, size: float, cirrhotic: bool, rng: np.random.Generator) -> np.ndarray:
    """Distance to a liver before its neighbours indent it.

    The form differs much between people: the left lobe stops at the midline or reaches the spleen; the right lobe is
    flat, bulges, or has a tongue that reaches the iliac crest (Riedel). In cirrhosis the right lobe shrinks, left and
    caudate lobe grow, and the surface is nodular.
    """
    right_size, left_size = (0.9 * size, 1.12 * size) if cirrhotic else (size, size)
    right = ellipsoid(
        part,
        np.array((70, 16, 30)) + rng.normal(0, (3, 4, 5)),
        np.array((85, 95, 109)) * right_size * rng.normal(1, 0.04),
    )
    caudate = ellipsoid(part, (14, 33, 42), np.array((22, 17, 31)) * left_size * rng.normal(1, 0.2, 3))
    liver = smooth_min(smooth_min(right, _left_lobe(part, left_size, rng), 22), caudate, 10)
    liver = smooth_max(liver, _liver_underside(part, size, rng), 14)
    # Left of the vena cava, the liver does not reach far back.
    behind = np.float32(rng.normal(32, 4)) - part.y - np.float32(2.2) * np.maximum(part.x - 20, 0)
    behind = behind - np.float32(rng.uniform(0, 0.5)) * np.maximum(-40 - part.x, 0)
    liver = smooth_max(liver, behind * np.float32(0.6), 12)
    tongue = np.array((98, 24, rng.uniform(-75, -45))), np.array((24, 42, rng.uniform(45, 75))) * size
    if rng.random() < 0.08:
        liver = smooth_min(liver, ellipsoid(part, *tongue), 18)
    waves = part.field(rng, 32), part.field(rng, 13)
    return liver + rng.uniform(1.5, 4) * waves[0] + (2.2 if cirrhotic else 0.6) * waves[1]


def _left_lobe(part: Region, size: float, rng: np.random.Generator) -> np.ndarray:
    tip = float(np.clip(rng.normal(-80, 28), -125, -8))  # x of its end
    height = float(rng.normal(55, 10))  # low lobes hang in front of the stomach
    thick = np.array((48, 46)) * size * rng.normal(1, 0.13, 2)
    rise, back = rng.normal(0.02, 0.12), rng.normal(0.0, 0.12)
    turn = axes_along(np.array((rise, 0.0, 1.0)), np.array((back, 1.0, 0.0)))
    lobe = ellipsoid(part, ((88 + tip) / 2, 64, height), ((88 - tip) / 2 * size, *thick), turn)
    wraps = rng.random() < 0.15  # around the spleen, like a beaver's tail
    tail = np.array((-74, rng.uniform(28, 44), rng.uniform(50, 66))), np.array((50, 38, 26)) * rng.normal(1, 0.1, 3)
    if wraps:
        lobe = smooth_min(
            lobe, ellipsoid(part, *tail, axes_along(np.array((0.2, 0.0, 1.0)), np.array((0.5, 1.0, 0.0)))), 14
        )
    return lobe


def _liver_underside(part: Region, size: float, rng: np.random.Generator) -> np.ndarray:
    """A surface that rises from the right flank to the left dome, hollow or bulging."""
    tilt, slope, bulge = rng.normal(0.52, 0.11), rng.normal(-0.25, 0.1), rng.uniform(-10, 16)
    low = -37 - 120 * (size - 1) + rng.normal(0, 12) - np.float32(tilt) * (part.x - 60)
    rounding = 1 - ((part.y - 25) / 60) ** 2 - ((part.x - 70) / 60) ** 2
    face = low - part.z + np.float32(slope) * (part.y - 40) - np.float32(bulge) * np.clip(rounding, -1, 1)
    return np.asarray((face + 8 * part.field(rng, 42)) * np.float32(0.86))


def _cut_fissures(part: Region, liver: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut the clefts, which contain fat: falciform and venous ligament, and in some livers folds of the diaphragm."""
    wide, deep, venous = rng.uniform(2.5, 8), rng.uniform(20, 50), rng.uniform(0.8, 3)
    x = rng.normal(10, 6)
    notch = ellipsoid(part, (x, 108, 14), (wide, deep, 40)) + 1.5 * part.field(rng, 30)
    liver = smooth_max(liver, -notch, 8)
    across = plate(part, (x - 6, 48, 44), (-0.35, 1, 0), (1, 0.35, 0), (venous, rng.uniform(6, 26), 24))
    liver = smooth_max(liver, -across, 3)
    # Diaphragmatic slips indent the upper surface in 25 %, a third of them by 2 cm or more
    # (Auh et al. 1984, AJR 143:565).
    folds = int(rng.choice((0, 1, 2, 3), p=(0.72, 0.1, 0.1, 0.08)))
    for _ in range(folds):
        out = rng.uniform(-0.4, 1.2)  # angle from the top towards the right side
        middle = (70 + 66 * np.sin(out), rng.uniform(-20, 70), 30 + 58 * np.cos(out))
        fold = plate(
            part, middle, (np.cos(out), rng.normal(0, 0.3), -np.sin(out)), (0, 1, 0), (1.6, 26, rng.uniform(7, 18))
        )
        liver = smooth_max(liver, -fold, 3)
    return liver


def _add_gallbladder(part: Region, rng: np.random.Generator) -> None:
    """Add the gallbladder, from contracted to hydrops (more than 40 mm wide); one patient in eight has none.

    A normal one is 70 to 100 mm long and 20 to 40 mm wide, and holds 30 to 50 mL when fasting.
    """
    removed = rng.random() < 0.12
    wide = float(np.clip(np.exp(rng.normal(0, 0.33)), 0.35, 1.9))
    points = np.array([(38, 42, 6), (48, 58, -12), (58, 74, -34)]) + rng.normal(0, 6, 3) + rng.normal(0, 3, (3, 3))
    points[2] += (points[2] - points[1]) * 0.35 * (wide - 1)
    points = curve(points, 6)
    radii = np.interp(np.linspace(0, 1, len(points)), (0, 0.5, 1), np.array((4, 12, 14)) * wide)
    dense = rng.uniform(15, 60) if rng.random() < 0.12 else 0.0  # sludge, or contrast medium that the liver excretes
    bumps = part.field(rng, 20)
    if removed:
        return
    bag = part.claim(tube(part, points, radii) + 0.8 * bumps, 1)
    part.paint(bag, "gallbladder_wall", organ="gallbladder")
    middle = points[len(points) // 2]
    layers = dense * np.clip((float(middle @ (*part.up, 0)) - part.height) / 15 + 0.5, 0, 1)
    part.paint(bag + 1.5, "bile", layers)


# Branches of the veins in the liver, as chains of points.
_LIVER_VEINS = {
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
        [(78, 34, 34), (92, 56, 8), (98, 62, -18)],
    ],
}


def _add_liver_veins(part: Region, liver: np.ndarray, phase: str, rng: np.random.Generator) -> None:
    """Add the hepatic veins, which an early portal venous phase leaves dark, and the portal vein with some fat."""
    inside = replace(part, free=liver)
    early = float(rng.uniform(-75, -30)) if rng.random() < 0.25 and phase == "portal" else 0.0
    for name, branches in _LIVER_VEINS.items():
        calibre = float(np.clip(np.exp(rng.normal(0, 0.25)), 0.5, 1.7))
        for branch in branches:
            points = curve(np.array(branch) + rng.normal(0, 5, (len(branch), 3)), 12)
            near = inside.crop(points.min(0) - 9, points.max(0) + 9)
            vein = tube(near, points, np.linspace(5.5, 1.8, len(points)) * calibre)
            near.paint(np.maximum(vein, near.free + 1), name, early if name == "hepatic_vein" else 0.0)
