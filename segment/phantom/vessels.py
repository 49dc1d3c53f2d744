"""Aorta, vena cava, their branches down to the groin, the portal system, the mesentery, and the ureters."""

from collections.abc import Sequence

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, tube

Path = Sequence[Sequence[float]]

_FORK_MM = -112.0  # height of the aortic bifurcation; the vena cava forks a little lower
_RENAL_VEINS_MM = -18.0

# Branches: points and radius at both ends, in mm. Iliac vessels are given for the right side.
_ARTERIES: list[tuple[Path, tuple[float, float]]] = [
    ([(-6, 34, 14), (-4, 47, 13), (14, 52, 17), (24, 54, 26)], (3.6, 2.4)),  # celiac trunk, hepatic artery
    ([(-4, 47, 13), (-24, 40, 18), (-44, 22, 16), (-62, 12, 30), (-76, 2, 36)], (3.2, 2.2)),  # splenic artery
    ([(-6, 34, 2), (-2, 48, -12), (0, 52, -50), (4, 54, -95), (14, 58, -125)], (3.8, 2.0)),  # superior mesenteric
    ([(-8, 34, -75), (-16, 38, -100), (-22, 32, -140), (-14, 4, -175)], (2.0, 1.4)),  # inferior mesenteric
    ([(0, 28, -12), (24, 12, -20), (48, 1, -28)], (2.9, 2.2)),  # right renal
    ([(-12, 28, -10), (-28, 13, -13), (-48, 1, -18)], (2.9, 2.2)),  # left renal
]
_ILIAC_ARTERIES: list[tuple[Path, tuple[float, float]]] = [
    ([(-2, 28, _FORK_MM), (18, 26, -135), (40, 12, -172), (54, 26, -210), (62, 50, -248), (64, 58, -290)], (5.8, 4.2)),
    ([(38, 14, -168), (42, -10, -190), (44, -34, -215), (46, -36, -240)], (3.4, 2.4)),  # internal iliac
    ([(64, 58, -285), (64, 54, -330), (62, 44, -420)], (4.2, 3.6)),  # superficial femoral
    ([(64, 58, -285), (78, 40, -320), (84, 26, -370)], (3.2, 2.4)),  # deep femoral
]
_ILIAC_VEINS: list[tuple[Path, tuple[float, float]]] = [
    ([(8, 22, -118), (22, 16, -140), (42, 3, -176), (48, 16, -212), (52, 44, -250), (52, 52, -290)], (6.5, 5.6)),
    ([(36, 4, -172), (42, -18, -192), (46, -40, -215), (48, -44, -240)], (4.2, 3.0)),
    ([(52, 52, -285), (58, 46, -330), (60, 36, -420)], (5.4, 4.4)),
]
_RENAL_VEINS: list[tuple[Path, tuple[float, float]]] = [
    ([(18, 24, -20), (32, 12, -24), (48, 1, -30)], (4.6, 3.4)),
    ([(12, 30, -9), (-8, 41, -9), (-28, 20, -14), (-48, 1, -20)], (4.4, 3.4)),  # left, in front of the aorta
]
_PORTAL_VEINS: list[tuple[Path, tuple[float, float]]] = [
    ([(20, 60, -125), (12, 54, -80), (12, 53, -40), (12, 50, 2)], (3.2, 5.6)),  # superior mesenteric
    ([(12, 50, 2), (19, 47, 14), (26, 46, 24)], (6.4, 6.2)),  # portal
    ([(12, 48, 2), (-20, 36, 10), (-50, 16, 24), (-76, 2, 36)], (4.6, 3.6)),  # splenic
    ([(-8, 44, 4), (-26, 40, -40), (-34, 30, -100), (-30, 18, -150)], (2.0, 1.5)),  # inferior mesenteric
]
_VARICES: list[Path] = [
    [(-78, 4, 36), (-66, 24, 44), (-58, 14, 58), (-44, 30, 66), (-24, 32, 78), (-10, 30, 96)],  # stomach, oesophagus
    [(-70, -2, 28), (-62, 6, 8), (-54, 12, -6), (-44, 10, -14)],  # from the spleen to the renal vein
    [(-36, 74, 60), (-10, 92, 34), (2, 102, 0), (4, 106, -60)],  # the umbilical vein, open again
]


def add_great_vessels(
    body: Region, patient: SyntheticPatient, portal_hypertension: bool, rng: np.random.Generator
) -> None:
    """Add the aorta, the vena cava to the right of it, and their main branches."""
    part = body.crop((-90, -60, -430), (90, 110, 200))
    aorta_rng, cava_rng, branch_rng, portal_rng = rng.spawn(4)
    if not part.x.size:
        return
    size = (0.92 if patient.female else 1.03) * (0.8 + 0.004 * min(patient.age, 65) - 0.12 * (patient.age < 12))
    shift = aorta_rng.normal(0, 2, 2)
    _add_aorta(part, patient, size, shift, aorta_rng)
    _add_cava(part, patient, shift, cava_rng)
    for side in (-1, 1):
        _add_branches(part, _ILIAC_ARTERIES, "aorta", size, branch_rng, side, _hardening(patient))
    _add_branches(part, _ARTERIES, "aorta", size, branch_rng, 1, _hardening(patient) - 0.5)
    for side in (-1, 1):
        wide = float(branch_rng.uniform(0.8, 1.15))
        _add_branches(part, _ILIAC_VEINS, "iliac_vein", wide, branch_rng, side)
    _add_branches(part, _RENAL_VEINS, "renal_vein", float(branch_rng.uniform(0.8, 1.2)), branch_rng)
    wide = float(portal_rng.normal(1.35 if portal_hypertension else 0.98, 0.13))
    _add_branches(part, _PORTAL_VEINS, "portal_vein", wide, portal_rng)
    if portal_hypertension:
        _add_varices(body, portal_rng)
    _add_segmental(part, branch_rng)


def _hardening(patient: SyntheticPatient) -> float:
    """Amount of calcified plaque from below 0 (none) to 1.3: from 50 years on, and earlier in men."""
    return (patient.age - (58 if patient.female else 50)) / 32


def _add_aorta(
    part: Region, patient: SyntheticPatient, size: float, shift: np.ndarray, rng: np.random.Generator
) -> None:
    """Add the aorta: straight in the young, winding, wide and calcified in the old, now and then an aneurysm.

    Infrarenal diameter about 15 to 20 mm, an aneurysm is 30 mm and more; it is found in about 1 to 5 % of men over 65
    (screening studies quoted in the guideline of the Society for Vascular Surgery, doi:10.1016/j.jvs.2017.10.044).
    """
    path = np.array([(-14.0, 8, 190), (-11, 22, 90), (-7, 28, 30), (-6, 29, -30), (-5, 30, -75), (-2, 28, _FORK_MM)])
    winding = 1 + 0.14 * max(0.0, patient.age - 50)
    path[2:] += np.column_stack([rng.normal(0, winding, 4), np.abs(rng.normal(0, 0.5 * winding, 4)), np.zeros(4)])
    path[1:, :2] += shift
    points = curve(path, 10)
    radii = np.interp(points[:, 2], (_FORK_MM, -20, 30, 190), (8.3, 9.3, 11, 12.5)) * size
    radii = radii * float(np.exp(rng.normal(0, 0.09)))
    old = max(0.0, patient.age - 55) / 30
    aneurysm, ectasia = rng.random(2)
    bulge = float(rng.uniform(6, 24)) if aneurysm < (0.02 if patient.female else 0.06) * old * 2 else 0.0
    bulge += float(rng.uniform(0, 4)) * (ectasia < old)
    middle, length = rng.uniform(-85, -45), rng.uniform(14, 28)
    radii += bulge * np.exp(-(((points[:, 2] - middle) / length) ** 2)).astype(float)
    points[:, 1] += 0.6 * (radii - 9) * (points[:, 2] < 20)  # it cannot grow into the spine
    aorta = tube(part, points, radii)
    part.occupy(aorta)
    part.paint(aorta, "thrombus" if bulge > 8 else "aorta", organ="aorta")
    if bulge > 8:
        lumen = tube(part, points + (*rng.normal(0, 0.15 * bulge, 2), 0), np.minimum(radii, 9 + 0.25 * bulge))
        part.paint(np.maximum(lumen, aorta + 1), "aorta")
    _add_plaques(part, aorta, _hardening(patient), rng)


def _add_plaques(part: Region, vessel: np.ndarray, amount: float, rng: np.random.Generator) -> None:
    """Add plaques to a vessel's wall where a random field exceeds a threshold that falls with the amount."""
    threshold = 2.4 - 1.5 * min(amount, 1.3) + float(rng.normal(0, 0.4))
    speckle = part.field(rng, 8)
    if amount > -0.2:
        shell = np.maximum(np.abs(vessel + 0.8) - 1.1, 3 * (np.float32(threshold) - speckle))
        part.paint(shell, "calcification", 60 * np.clip(speckle - threshold, 0, 3))


def _add_cava(part: Region, patient: SyntheticPatient, shift: np.ndarray, rng: np.random.Generator) -> None:
    """Add the vena cava: a flat slit in some patients, round and wide in others.

    Below the renal veins its blood comes from the legs and enhances late. In arterial phase, bright blood of the renal
    veins mixes with it in streams.
    """
    flat = float(rng.uniform(0.35, 1.05))
    size = float(rng.uniform(0.9, 1.1)) * (0.8 if patient.age < 12 else 1)
    path = np.array([(22.0, 54, 125), (19, 40, 100), (17, 30, 70), (18, 24, 20), (17, 24, -40), (14, 24, -95), (8, 22, -118)])
    path[3:-1, :2] += shift / 2 + rng.normal(0, 1.5, 2)
    points = curve(path, 12)
    depth = np.interp(points[:, 2], (-20, 60), (flat, max(flat, 0.85)))
    width = np.interp(points[:, 2], (-118, 0, 80), (10.5, 12, 13)) * size * depth**-0.3
    sides = [tube(part, points + np.outer(width * (1 - depth) * k, (1, 0, 0)), width * depth) for k in (-1, 0, 1)]
    cava = np.maximum(np.minimum(np.minimum(*sides[:2]), sides[2]), 1 - part.free)
    part.occupy(cava)
    legs, here, kidneys = (part.tissue_hu[name] for name in ("iliac_vein", "vena_cava", "renal_vein"))
    streams = part.field(rng, 9)
    mixing = np.clip((part.z - _RENAL_VEINS_MM) / 40 + 0.5, 0, 1)
    swirl = 0.3 * mixing * (1 - 0.7 * np.clip((part.z - 20) / 60, 0, 1)) * (kidneys - legs) * np.clip(streams, -1.5, 1.5)
    part.paint(cava, "vena_cava", (1 - mixing) * (legs - here) + swirl, organ="vena_cava")
    part.paint(np.maximum(cava, part.z - (_RENAL_VEINS_MM - 22)), "iliac_vein")


def _add_branches(
    part: Region,
    branches: Sequence[tuple[Path, tuple[float, float]]],
    tissue: str,
    size: float,
    rng: np.random.Generator,
    side: int = 1,
    plaque: float = -1.0,
) -> None:
    """Add vessels that take the room which is left. Paths are mirrored for side -1; `plaque` as in _add_plaques."""
    for points, ends in branches:
        path = np.array(points, dtype=float) * (side, 1, 1)
        if side < 0:
            path[0] = points[0] if abs(points[0][0]) < 20 else path[0]  # the fork lies in the middle
        path[1:] += rng.normal(0, 1.5, (len(points) - 1, 3))
        path = curve(path, 10)
        box = part.crop(path.min(0) - 10, path.max(0) + 10)
        vessel = box.claim(tube(box, path, np.linspace(*ends, len(path)) * size), 0)
        box.paint(vessel, tissue)
        if plaque > -1:
            _add_plaques(box, vessel, plaque, rng)


def _add_varices(body: Region, rng: np.random.Generator) -> None:
    """Add the winding detours of portal blood past a cirrhotic liver."""
    for route in _VARICES:
        path = curve(np.array(route, dtype=float), 12)
        path[1:-1] += rng.normal(0, 4.5, (len(path) - 2, 3))
        path, radius = curve(path, 5), float(rng.uniform(1.5, 4.5))
        shown = rng.random() < 0.6
        if shown:
            box = body.crop(path.min(0) - 8, path.max(0) + 8)
            box.paint(box.claim(tube(box, path, np.full(len(path), radius)), 0), "portal_vein")


def _add_segmental(part: Region, rng: np.random.Generator) -> None:
    """Add the lumbar arteries and veins around the vertebrae."""
    for level in (-96, -64, -32, 0, 32):
        for side in (-1, 1):
            path = np.array([(side * 6 - 4.0, 20, level), (side * 24, 6, level - 2), (side * 28, -14, level - 2)])
            box = part.crop(path.min(0) - 5, path.max(0) + 5)
            vessel = np.maximum(tube(box, path, np.array((1.3, 1.2, 1))), -box.free)
            box.paint(vessel, "vena_cava" if rng.random() < 0.5 else "aorta")


def add_mesentery(body: Region, rng: np.random.Generator) -> None:
    """Add small vessels that fan out from the root of the mesentery into the fat between the loops, and lymph nodes."""
    for n in range(34):
        root = np.array((4, 56, rng.uniform(-95, -20)))
        end = np.array((rng.uniform(-95, 95), rng.uniform(45, 92), rng.uniform(-170, -25)))
        path = curve(np.array((root, (root + end) / 2 + rng.normal(0, 8, 3), end)), 25)
        part = body.crop(path.min(0) - 5, path.max(0) + 5)
        vessel = np.maximum(tube(part, path, np.linspace(2.4, 1.1, len(path))), 1 - part.free)
        part.paint(vessel, "portal_vein" if n % 3 else "aorta")


def add_ureters(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a ureter from each kidney over the psoas and the iliac vessels to the bladder; waves of urine run down it."""
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        points = np.array([(44.0, 0, -40), (37, 8, -62), (33, 22, -100), (34, 28, -148), (46, 6, -190), (48, -22, -225)])
        points = np.concatenate([points, [(34, -12, -250), (16, 10, -264)]]) * (side, 1, 1)
        points[1:-1] += rng.normal(0, 2.5, (6, 3))
        radius, phase = float(rng.uniform(1.3, 2.3)), rng.uniform(0, 300)
        wide = float(rng.uniform(1.5, 2.6)) if rng.random() < 0.04 else 1.0  # obstructed
        path = curve(points, 10)
        part = body.crop(path.min(0) - 8, path.max(0) + 8)
        if name in patient.absent or not part.x.size:
            continue
        ureter = part.claim(tube(part, path, np.full(len(path), radius * wide)), 0)
        waves = np.float32(-0.6 * max(0.0, patient.hu["urine"] - 20)) * (np.sin((part.z + phase) / 14) > 0.2)
        part.paint(ureter, "urine", waves)
