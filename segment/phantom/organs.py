"""Solid organs: adrenals, kidneys, liver with gallbladder, spleen and pancreas."""

from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, plate, smooth_max, smooth_min, tube

# Half axes of an average kidney: thickness, width towards the hilum, length. Adults have about 110 ± 12 mm in length
# on CT (Glodny et al. 2009, BMC Urology 9:19) and 150 to 200 mL (sources in patient.py).
_KIDNEY_MM = (27.3, 32.0, 58.0)

# How often kidneys vary. Published: horseshoe 1 in 400 to 600, pelvic kidney 1 in 2000 to 3000 (Campbell-Walsh
# Urology); ptosis matters for women who stand, less so for patients who lie. Rare forms are sampled more often than
# they occur, because a network must have seen them.
_HORSESHOE, _PELVIC, _LOW, _MALROTATED, _SHRUNKEN = 0.008, 0.008, 0.04, 0.05, 0.05
_LOBULATED, _HUMP, _EXTRARENAL_PELVIS = 0.2, 0.12, 0.12


def add_adrenals(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add both adrenals above the kidneys: a ridge in front and two limbs behind, an inverted Y.

    Limbs are 4.1 to 4.9 ± 1.1 mm thick (John et al. 2018, doi:10.4103/ijri.IJRI_129_18); the gland is 20 to 40 mm high.
    """
    for side, middle in ((1, (27, 6, 18)), (-1, (-31, 12, 8))):
        center = np.array(middle) + rng.normal(0, (2, 2, 7))
        thick, limbs = rng.uniform(1.9, 3.2), rng.normal(1, 0.15, 3)
        part = body.crop(center - 32, center + 32)
        gland = plate(part, center + np.array((0, 5, 2)), (1, 0, 0), (0, 1, 0.2), (thick, 7 * limbs[0], 15))
        for out, length in ((0.75, limbs[1]), (-0.25, limbs[2])):
            back = np.array((side * out, -1, -0.3))
            limb = plate(part, center + 9 * length * back, (1, side * out, 0), back, (thick, 13 * length, 14))
            gland = smooth_min(gland, limb, 3)
        part.paint(part.claim(gland, 0.5 + 0.3 * patient.gap_mm), "adrenal")


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
    turn = _axes(length + rng.normal(0, 0.09, 3), width + rng.normal(0, 0.15, 3))
    return _KidneyPlan(center, turn, np.array(_KIDNEY_MM) * size * rng.normal(1, 0.045, 3), size)


def _axes(length: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Perpendicular unit vectors (3,3), as rows, from a length and an approximate width: thickness, width, length."""
    length = length / np.linalg.norm(length)
    width = width - length * (width @ length)
    width /= np.linalg.norm(width)
    return np.stack([np.cross(width, length), width, length])


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


def add_liver(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the gallbladder, then the lobes of the liver around it, with fissures and veins."""
    part = body.crop((-130, -80, -190), (150, 135, 150))
    size = patient.organ["liver"] * (1 + 0.009 * max(16 - patient.age, 0))  # children: 4 % of the weight, adults: 2.4 %
    gallbladder, lobes, fissures, veins, texture = rng.spawn(5)
    _add_gallbladder(part, gallbladder)
    liver = _liver_lobes(part, size, lobes)
    liver = _cut_fissures(part, liver, fissures)
    liver = part.claim(liver, 0.4 + 0.35 * patient.gap_mm)
    uneven = 2.5 * part.field(texture, 8) + texture.uniform(1, 5) * part.field(texture, 40)
    part.paint(liver, "liver", uneven, organ="liver")
    _add_liver_veins(part, liver, patient.phase, veins)


def _liver_lobes(part: Region, size: float, rng: np.random.Generator) -> np.ndarray:
    """Distance to a liver before it meets its neighbours.

    Forms that differ much between people: the left lobe stops at the midline or reaches the spleen, the right lobe is
    flat or bulges, or has a tongue that reaches the iliac crest (Riedel). In cirrhosis the right lobe shrinks, left and
    caudate lobe grow, and the surface is nodular.
    """
    cirrhotic = rng.random() < 0.06
    right_size, left_size = (0.9 * size, 1.12 * size) if cirrhotic else (size, size)
    right = ellipsoid(
        part,
        np.array((70, 16, 30)) + rng.normal(0, (3, 4, 5)),
        np.array((84, 94, 107)) * right_size * rng.normal(1, 0.04),
    )
    caudate = ellipsoid(part, (16, 34, 42), np.array((20, 16, 30)) * left_size * rng.normal(1, 0.15, 3))
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
    tip = float(np.clip(rng.normal(-76, 24), -120, -8))  # x of its end
    thick = np.array((48, 46)) * size * rng.normal(1, 0.13, 2)
    rise, back = rng.normal(0.02, 0.12), rng.normal(0.0, 0.12)
    turn = _axes(np.array((rise, 0.0, 1.0)), np.array((back, 1.0, 0.0)))
    lobe = ellipsoid(part, ((88 + tip) / 2, 64, 58), ((88 - tip) / 2 * size, *thick), turn)
    wraps = rng.random() < 0.1  # around the spleen, like a beaver's tail
    tail = np.array((-74, rng.uniform(28, 44), rng.uniform(50, 66))), np.array((50, 38, 26)) * rng.normal(1, 0.1, 3)
    if wraps:
        lobe = smooth_min(lobe, ellipsoid(part, *tail, _axes(np.array((0.2, 0.0, 1.0)), np.array((0.5, 1.0, 0.0)))), 14)
    return lobe


def _liver_underside(part: Region, size: float, rng: np.random.Generator) -> np.ndarray:
    """A surface that rises from the right flank to the left dome, hollow or bulging."""
    tilt, slope, bulge = rng.normal(0.52, 0.11), rng.normal(-0.25, 0.1), rng.uniform(-10, 16)
    low = -37 - 120 * (size - 1) + rng.normal(0, 12) - np.float32(tilt) * (part.x - 60)
    rounding = 1 - ((part.y - 25) / 60) ** 2 - ((part.x - 70) / 60) ** 2
    face = low - part.z + np.float32(slope) * (part.y - 40) - np.float32(bulge) * np.clip(rounding, -1, 1)
    return np.asarray((face + 8 * part.field(rng, 42)) * np.float32(0.86))


def _cut_fissures(part: Region, liver: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut the clefts, which contain fat: falciform and venous ligament, and folds of the diaphragm now and then."""
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
    """Add the gallbladder, from contracted to hydrops (more than 40 mm wide); one in eight has none.

    Normal: 70 to 100 mm long, 20 to 40 mm wide, 30 to 50 mL when fasting.
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


def add_spleen(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a crescent along the left ribs at the back, concave towards stomach and kidney.

    Its form varies from round to long and thin, with a tip below the kidney. One in sixteen is enlarged, up to 1500 mL.
    """
    size = patient.organ["spleen"] * (1 + 0.006 * max(16 - patient.age, 0))
    enlarged = float(rng.uniform(1.25, 1.9)) if rng.random() < 0.06 else 1.0
    thin = float(rng.normal(0, 0.16))  # length grows by this share, thickness shrinks
    center = np.array((-96, -16, 46)) + rng.normal(0, (3, 6, 8)) + np.array((14, 26, -48)) * (enlarged - 1)
    length = np.array((-0.25, 0.55, -0.8)) + rng.normal(0, 0.2, 3)  # along the tenth rib
    turn = _axes(length, np.array((0.85, 0.5, 0.1)) + rng.normal(0, 0.1, 3))[[1, 0, 2]]  # inward, across, along
    radii = np.array((38.5, 46, 63)) * size * enlarged * np.exp(np.array((-0.8, -0.2, 1)) * thin)
    hollow, surface, pattern, extra = rng.spawn(4)
    if "spleen" not in patient.absent:
        part = body.crop(center - radii.max() - 10, center + radii.max() + 10)
        shape = ellipsoid(part, center, radii, turn)
        middle = center + turn[0] * (radii[0] + hollow.normal(14, 5))
        shape = smooth_max(shape, -ellipsoid(part, middle, np.array((34, 44, 62)) * size * enlarged, turn), 8)
        # A large spleen does not grow around the kidney from behind.
        medial = part.x + 54 - np.maximum(part.y - 5, 0) - 0.5 * np.maximum(part.z - 25, 0)
        shape = smooth_max(shape, 0.7 * medial, 24)
        shape = _notch_spleen(part, shape, (center, radii, turn), surface) + 2 * part.field(surface, 26)
        spleen = part.claim(shape, 0.4 + 0.45 * patient.gap_mm)
        part.paint(spleen, "spleen", _pulp(part, patient.phase, pattern), organ="spleen")
    _add_accessory_spleens(body, center + turn[0] * radii[0] * 0.9, extra)


def _notch_spleen(
    part: Region, shape: np.ndarray, frame: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Cut up to three clefts into the surface that lies on the ribs or into the edge; they are up to 30 mm deep."""
    center, radii, turn = frame
    for _ in range(int(rng.choice((0, 1, 2, 3), p=(0.6, 0.2, 0.12, 0.08)))):
        along, angle = rng.uniform(-0.65, 0.65), rng.uniform(0.5, 1.5) * np.pi
        radial = np.cos(angle) * turn[0] + np.sin(angle) * turn[1]
        edge = center + turn[2] * radii[2] * along + radial * radii[1] * 0.9
        cleft = plate(part, edge, turn[2] + rng.normal(0, 0.25, 3), radial, (rng.uniform(1.5, 4), 22, 26))
        shape = smooth_max(shape, -cleft, 4)
    return shape


def _pulp(part: Region, phase: str, rng: np.random.Generator) -> np.ndarray:
    """HU of the pattern in the spleen: red and white pulp fill at different speeds, which gives arterial bands."""
    strength, wave_mm = float(rng.uniform(0, 45)) if phase == "arterial" else 2.0, float(rng.uniform(14, 24))
    direction = rng.normal(0, 1, 3)
    x, y, z = np.float32(2 * np.pi / wave_mm / np.linalg.norm(direction)) * direction.astype(np.float32)
    bands = np.sin(part.x * x + part.y * y + part.z * z + np.float32(2.2) * part.field(rng, 22))
    return np.asarray(np.float32(strength) * (0.7 * bands + 0.5 * part.field(rng, 11)))


def _add_accessory_spleens(body: Region, hilum: np.ndarray, rng: np.random.Generator) -> None:
    """Add balls of spleen near the hilum, 8 to 15 mm wide and without label, in 16 % of the patients.

    Published: 15.6 % of 1000 CTs (Mortele et al. 2004, AJR 183:1653).
    """
    number = int(rng.choice((0, 1, 2), p=(0.84, 0.12, 0.04)))
    for _ in range(number):
        center, radius = hilum + rng.normal(0, (8, 14, 20)), rng.uniform(4, 7.5)
        part = body.crop(center - 10, center + 10)
        part.paint(part.claim(ellipsoid(part, center, (radius, radius, radius)), 1), "spleen")


def add_pancreas(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add head, neck, body and tail across the spine. With age and weight, fat separates shrinking lobules."""
    points = np.array(
        [(40, 40, -36), (37, 44, -16), (22, 54, -4), (0, 60, 4), (-26, 52, 12), (-52, 30, 22), (-70, 12, 30)]
    )
    tail = rng.normal(0, 12)  # the tail lies higher or lower
    points = points + rng.normal(0, 2.5, points.shape) + np.linspace(-1, 1, 7)[:, None].clip(0) * (0, 0, tail)
    points = curve(points, 8)
    fatty = float(np.clip(rng.normal(0.012 * (patient.age - 40) + 0.4 * patient.visceral, 0.25), 0, 1))
    radii = np.interp(np.linspace(0, 1, len(points)), (0, 0.2, 0.4, 0.8, 1), (16, 21, 14, 14.5, 12))
    part = body.crop((-90, -12, -65), (62, 78, 58))
    gland = tube(part, points, radii * (1 - 0.3 * fatty) * rng.normal(1, 0.1))
    gland = part.claim(gland + (1.3 + 2 * fatty) * part.field(rng, 8), 0.3 + 0.4 * patient.gap_mm)
    part.paint(gland, "pancreas", 8 * part.field(rng, 6) - 30 * fatty * np.abs(part.field(rng, 5)), organ="pancreas")
