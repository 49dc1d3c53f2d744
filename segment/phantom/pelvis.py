"""Organs of the pelvis: rectum and sigmoid colon, uterus and ovaries or prostate and seminal vesicles."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_min, tube
from segment.phantom.urinary import add_bladder, sample_bladder_mm

_COLON_END = (-96.0, 14.0, -190.0)  # where the descending colon of `colon` ends


def add_pelvis(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the organs of the pelvis, before the bowel fills the rest of the cavity."""
    rectum_rng, bladder_rng, genital_rng = rng.spawn(3)
    part = body.crop((-115, -90, -310), (115, 110, -110))
    if not part.x.size:
        return
    radius = sample_bladder_mm(bladder_rng)
    _add_rectum(part, rectum_rng)
    _add_perineum(part)
    if not patient.female:
        _add_prostate(part, patient, genital_rng)
        _add_male_genitals(body, patient)
    add_bladder(part, patient, radius, bladder_rng)
    if patient.female:
        _add_uterus(part, patient, radius, genital_rng)
    _add_sigmoid(part, patient, radius, rectum_rng)


def _add_rectum(part: Region, rng: np.random.Generator) -> None:
    """Add rectum and anal canal in the hollow of the sacrum."""
    path = np.array([(0, -50, -302), (0, -42, -280), (0, -50, -255), (0, -54, -228), (-2, -42, -200), (-4, -22, -176)])
    path = path + rng.normal(0, (3, 2, 2), (6, 3))
    wide = float(np.exp(rng.normal(0, 0.25)))
    radii = np.array((8, 9, 14 * wide, 17 * wide, 14 * wide, 12))
    _add_bowel(part, path, radii, rng)
    mesorectum = part.free - 4  # bowel does not reach the fat around the rectum
    part.occupy(np.maximum(mesorectum, ellipsoid(part, (0, -45, -240), (34, 24, 50))))


def _add_perineum(part: Region) -> None:
    """Add the sphincter around the anus and the muscles in front of it, below the cavity of the pelvis."""
    sphincter = tube(part, np.array([(0, -52, -312), (0, -42, -282)]), np.array((13, 12)))
    part.paint(sphincter, "muscle")
    part.paint(sphincter + 6, "bowel_wall")
    part.paint(ellipsoid(part, (0, 6, -304), (17, 24, 9)), "muscle", -5)


def _add_sigmoid(part: Region, patient: SyntheticPatient, radius: float, rng: np.random.Generator) -> None:
    """Add the sigmoid: a loop of very variable length between the descending colon and the rectum."""
    lift = np.array((0, 0, max(0.0, 1.4 * radius - 45)))
    turn = np.array((rng.uniform(-40, 55), rng.uniform(-10, 35), rng.uniform(-215, -150))) + lift
    low = np.array((rng.uniform(-70, -35), rng.uniform(10, 45), rng.uniform(-225, -190))) + lift
    path = np.array([(-4, -22, -176), (14, -8, -185), turn, (turn + low) / 2 + (0, 12, 14), low, _COLON_END])
    path[1:-1] += rng.normal(0, 5, (4, 3))
    radii = np.array((12, 12, 13, 13, 12, 13)) * float(np.exp(rng.normal(0, 0.16)))
    _add_bowel(part, path, radii, rng, 0.6 * patient.gap_mm)
    if rng.random() < min(0.5, max(0.0, 0.01 * (patient.age - 40))):  # diverticula
        points = curve(path, 8)
        for place in points[rng.integers(len(points), size=8)] + rng.normal(0, 9, (8, 3)):
            near = part.crop(place - 6, place + 6)
            pouch = near.claim(ellipsoid(near, place, (4, 4, 4)), 0)
            near.paint(pouch, "bowel_wall")
            near.paint(pouch + 1.5, "gas")


def _add_bowel(part: Region, path: np.ndarray, radii: np.ndarray, rng: np.random.Generator, gap_mm: float = 1) -> None:
    """Add large bowel along a path: collapsed, or with stool and gas."""
    points = curve(np.column_stack([path, radii]), 8)
    wave = 1 + 0.1 * np.sin(np.arange(len(points)) * (2 * np.pi / 4) + rng.uniform(0, 6))
    bowel = part.claim(tube(part, points[:, :3], points[:, 3] * wave), gap_mm)
    wall_mm = 2.4 if rng.random() < 0.75 else 5.0
    lumen = bowel + wall_mm
    part.paint(bowel, "bowel_wall", float(rng.normal(0, 6)))
    content = rng.random()
    open_mm = lumen + np.maximum(4 * part.field(rng, 22), 0) + (6 if content < 0.3 else 0)  # 6: collapsed
    part.paint(open_mm, "stool", 30 * part.field(rng, 5))
    part.paint(np.maximum(open_mm + 1, 4 * (1.4 - part.field(rng, 4))), "gas", 300)
    level = path[:, 1].mean() + float(rng.normal(4, 8)) + 10 * part.field(rng, 60)
    if part.up[0] == 0:
        part.paint(np.maximum(open_mm + 1, (level - part.y) * np.float32(part.up[1])), "gas")


def _add_prostate(part: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add prostate and seminal vesicles. The volume grows with age: about 22 mL at 40, 35 mL at 70, at most 150 mL."""
    removed = rng.random() < 0.04 and patient.age > 50
    volume_ml = np.clip((10 + 0.38 * patient.age) * np.exp(rng.normal(0, 0.35)), 4, 150)
    size = (volume_ml / 30) ** (1 / 3) * (0.5 if patient.age < 14 else 1)
    radii = np.array((24, 16.5, 18)) * size * rng.normal(1, 0.05, 3)
    center = np.array((rng.normal(0, 1.5), 16, -288 + radii[2]))
    if not removed:
        gland = part.claim(ellipsoid(part, center, radii) + part.field(rng, 14), 1)
        part.paint(gland, "prostate", 6 * part.field(rng, 8))
        if rng.random() < 0.4:
            specks = np.maximum(gland + 5, 5 * (1.9 - part.field(rng, 5)))
            part.paint(specks, "calcification", -150)
    top = center + np.array((0, -10, radii[2]))
    for side in (-1, 1):
        path = top + np.array([(side * 6, 0, 0), (side * 20, -5, 9), (side * 36, -6, 16)])
        vesicle = part.claim(tube(part, path, np.array((5, 7, 4.5))) + 1.2 * part.field(rng, 8), 1)
        part.paint(vesicle, "prostate", -22)


def _add_male_genitals(body: Region, patient: SyntheticPatient) -> None:
    """Add penis and testes in front of the pubis and between the thighs."""
    part = body.crop((-40, 20, -400), (40, 150, -280))
    size, front = min(1.0, 0.4 + 0.04 * patient.age), 68 + 0.7 * patient.subcutaneous_mm
    shaft = np.array([(0, 34, -292), (0, 66, -290), (2, front + 4, -304), (4, front + 8, -340)])
    genitals = tube(part, shaft, np.array((8, 10, 15, 15)) * size)
    for side in (-1, 1):
        genitals = np.minimum(genitals, ellipsoid(part, (side * 17, front - 22, -338), np.array((15, 17, 24)) * size))
    part.paint(genitals - 2, "skin")
    part.paint(genitals, "muscle", -14)


def _add_uterus(part: Region, patient: SyntheticPatient, radius: float, rng: np.random.Generator) -> None:
    """Add vagina, uterus with fibroids, and ovaries with follicles and cysts. The uterus shrinks after menopause.

    Uterus of 7.5 x 5 x 4 cm before and 4 to 6 cm long after menopause: usual values of textbooks of ultrasound.
    """
    fertile = 14 < patient.age < 52
    size = float(rng.normal(1, 0.14))
    if not fertile:
        size *= 0.66 if patient.age > 20 else 0.45  # after menopause, or before puberty
    vagina = tube(part, np.array([(0, 2, -262), (0, 0, -280), (0, -2, -306)]), np.array((9, 8, 8)) * size**0.3)
    vagina = part.claim(vagina, 0.8)
    part.paint(vagina, "uterus", -22)
    neck = np.array((0, -6, -250 + 0.25 * radius))
    if rng.random() > (0.18 if patient.age > 45 else 0.02):
        _add_womb(part, patient, neck, size, radius, rng)
    for side in (-1, 1):
        ovary = neck + rng.uniform((30, -16, 8), (46, 14, 34)) * (side, 1, 1)
        bulk = 1.0 if fertile else 0.6
        shape = part.claim(ellipsoid(part, ovary, np.array((10, 9, 15)) * bulk * rng.normal(1, 0.12)), 0.5)
        part.paint(shape, "uterus", -28)
        for _ in range(3):
            place = ovary + rng.normal(0, 5, 3)
            cyst_mm = float(rng.uniform(2, 8)) if rng.random() < 0.93 else float(rng.uniform(14, 40))
            shown = fertile or cyst_mm > 12
            cyst = ellipsoid(part, place, (cyst_mm,) * 3)
            if shown:
                cyst = part.claim(cyst, 0) if cyst_mm > 12 else np.maximum(cyst, shape + 1)
                part.paint(cyst, "cyst", float(rng.uniform(0, 14)))


def _add_womb(
    part: Region, patient: SyntheticPatient, neck: np.ndarray, size: float, radius: float, rng: np.random.Generator
) -> None:
    fundus_y = rng.choice((1, -0.7), p=(0.8, 0.2))  # bent to the front, or to the back
    lean = np.array((rng.normal(0, 0.2), fundus_y * rng.uniform(0.5, 1.1), 0.6 + 0.012 * radius))
    axis = lean / np.linalg.norm(lean)
    center = neck + axis * 30 * size
    side = np.cross((1.0, 0, 0), axis)
    side /= np.linalg.norm(side)
    turn = np.stack([np.cross(side, axis), side, axis])
    womb = ellipsoid(part, center, np.array((27, 20, 34)) * size, turn)
    womb = smooth_min(womb, ellipsoid(part, neck, np.array((15, 13, 18)) * size**0.7), 8)
    fibroids = rng.random() < (0.3 if patient.age > 33 else 0.05)
    places = center + rng.normal(0, 24, (4, 3)) * size
    sizes = np.exp(rng.normal(np.log(14), 0.55, 4)).clip(4, 55)
    kinds = rng.random(4)
    lumps = []
    if fibroids:
        for place, radius_mm in zip(places, sizes, strict=True):
            lumps.append(ellipsoid(part, place, (radius_mm, radius_mm, 0.9 * radius_mm)))
    for lump in lumps:
        womb = smooth_min(womb, lump, 5)
    womb = part.claim(womb + part.field(rng, 18), 1)
    part.paint(womb, "uterus", 5 * part.field(rng, 9))
    part.paint(np.maximum(ellipsoid(part, center, np.array((11, 3.5, 20)) * size, turn), womb + 3), "uterus", -38)
    for lump, kind in zip(lumps, kinds, strict=False):
        part.paint(np.maximum(lump, womb + 0.5), "uterus", float(-45 + 60 * kind) + 8 * part.field(rng, 8))
        if kind < 0.2:
            rim = np.maximum(np.abs(lump + 2) - 1.2, 3 * (0.3 - part.field(rng, 10)))
            part.paint(np.maximum(rim, womb), "calcification")
    device = tube(part, np.array([center - axis * 14 * size, center + axis * 16 * size]), np.array((0.9, 0.9)))
    if rng.random() < 0.1 and 18 < patient.age < 55:
        part.paint(device, "metal", -1500)
