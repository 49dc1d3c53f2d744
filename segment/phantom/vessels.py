"""Aorta and vena cava with their branches down to the groin."""

from collections.abc import Sequence

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, tube

Path = Sequence[Sequence[float]]

_FORK_MM = -112.0  # height of the aortic bifurcation; the vena cava forks a little lower
_CONFLUENCE_MM = -121.0  # below, the iliac veins have separated, and the label of the vena cava ends
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


def add_great_vessels(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the aorta, the vena cava to the right of it, and their main branches."""
    part = body.crop((-90, -60, -430), (90, 110, 200))
    aorta_rng, cava_rng, branch_rng = rng.spawn(3)
    if not part.x.size:
        return
    size = (0.92 if patient.female else 1.03) * (0.8 + 0.004 * min(patient.age, 65) - 0.12 * (patient.age < 12))
    shift = aorta_rng.normal(0, 2, 2)
    _add_aorta(part, patient, size, shift, aorta_rng)
    _add_cava(part, patient, shift, cava_rng)
    for side in (-1, 1):
        add_branches(part, _ILIAC_ARTERIES, "aorta", size, branch_rng, side, _hardening(patient))
    add_branches(part, _ARTERIES, "aorta", size, branch_rng, 1, _hardening(patient) - 0.5)
    for side in (-1, 1):
        wide = float(branch_rng.uniform(0.8, 1.15))
        add_branches(part, _ILIAC_VEINS, "iliac_vein", wide, branch_rng, side)
    add_branches(part, _RENAL_VEINS, "renal_vein", float(branch_rng.uniform(0.8, 1.2)), branch_rng)
    _add_segmental(part, branch_rng)


def _hardening(patient: SyntheticPatient) -> float:
    """Amount of calcified plaque from below 0 (none) to 1.3: from 50 years on, and earlier in men."""
    return (patient.age - (58 if patient.female else 50)) / 32


def _add_aorta(
    part: Region, patient: SyntheticPatient, size: float, shift: np.ndarray, rng: np.random.Generator
) -> None:
    """Add the aorta: straight in young patients, winding, wide and calcified in old ones, sometimes with an aneurysm.

    The infrarenal diameter is about 15 to 20 mm; an aneurysm has 30 mm or more and is found in about 1 to 5 % of men
    over 65 (screening studies quoted in the guideline of the Society for Vascular Surgery,
    doi:10.1016/j.jvs.2017.10.044).
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
    aneurysm_share = (0.02 if patient.female else 0.06) * old * 2
    bulge = float(rng.uniform(6, 24)) if aneurysm < aneurysm_share else 0.0
    bulge += float(rng.uniform(0, 4)) * (ectasia < old)
    middle, length = rng.uniform(-85, -45), rng.uniform(14, 28)
    radii += bulge * np.exp(-(((points[:, 2] - middle) / length) ** 2)).astype(float)
    points[:, 1] += 0.6 * (radii - 9) * (points[:, 2] < 20)  # it cannot grow into the spine
    aorta = tube(part, points, radii)
    part.occupy(aorta)
    part.paint(aorta, "thrombus" if bulge > 8 else "aorta", organ="aorta")
    stented = rng.random() < 0.25
    if bulge > 8:
        lumen = tube(part, points + rng.normal(0, 0.15 * bulge, 3) * (1, 1, 0), np.minimum(radii, 9 + 0.25 * bulge))
        lumen = np.maximum(lumen, aorta + 1)
        part.paint(lumen, "aorta")
        if stented:
            part.paint(np.maximum(np.abs(lumen) - 0.7, part.z - 2), "metal", -1800)
    _add_plaques(part, aorta, _hardening(patient), rng)


def _add_plaques(part: Region, vessel: np.ndarray, amount: float, rng: np.random.Generator) -> None:
    """Add plaques to a vessel's wall where a random field exceeds a threshold that falls with the amount."""
    if amount < -0.2:
        return
    threshold = np.float32(2.4 - 1.5 * min(amount, 1.3) + rng.normal(0, 0.4))
    speckle = part.field(rng, 8)
    shell = np.maximum(np.abs(vessel + np.float32(0.8)) - np.float32(1.1), 3 * (threshold - speckle))
    part.paint(shell, "calcification", 60 * np.clip(speckle - threshold, 0, 3))


def _add_cava(part: Region, patient: SyntheticPatient, shift: np.ndarray, rng: np.random.Generator) -> None:
    """Add the vena cava: a flat slit in some patients, round and wide in others.

    Below the renal veins its blood comes from the legs and enhances late. In the arterial phase, bright blood from the
    renal veins mixes with it in streams.
    """
    flat = float(rng.uniform(0.35, 1.05))
    size = float(rng.uniform(0.9, 1.1)) * (0.8 if patient.age < 12 else 1)
    path = np.array(
        [(22.0, 54, 125), (19, 40, 100), (17, 30, 70), (18, 24, 20), (17, 24, -40), (14, 24, -95), (8, 22, -118)]
    )
    path[3:-1, :2] += shift / 2 + rng.normal(0, 1.5, 2)
    points = curve(path, 12)
    depth = np.interp(points[:, 2], (-20, 60), (flat, max(flat, 0.85)))
    width = np.interp(points[:, 2], (-118, 0, 80), (10.5, 12, 13)) * size * depth**-0.3
    sides = [tube(part, points + np.outer(width * (1 - depth) * k, (1, 0, 0)), width * depth) for k in (-1, 0, 1)]
    cava = np.maximum(np.minimum(np.minimum(*sides[:2]), sides[2]), 1 - part.free)
    cava = np.maximum(cava, _CONFLUENCE_MM - part.z)
    part.occupy(cava)
    legs, here, kidneys = (part.tissue_hu[name] for name in ("iliac_vein", "vena_cava", "renal_vein"))
    streams = part.field(rng, 9)
    mixing = np.clip((part.z - _RENAL_VEINS_MM) / 40 + 0.5, 0, 1)
    swirl = (
        0.3 * mixing * (1 - 0.7 * np.clip((part.z - 20) / 60, 0, 1)) * (kidneys - legs) * np.clip(streams, -1.5, 1.5)
    )
    part.paint(cava, "vena_cava", (1 - mixing) * (legs - here) + swirl, organ="vena_cava")
    # Blood of the legs alone is not mixed, so it has less texture.
    part.paint(np.maximum(cava, part.z - (_RENAL_VEINS_MM - 22)), "lower_cava", legs - part.tissue_hu["lower_cava"])


def add_branches(
    part: Region,
    branches: Sequence[tuple[Path, tuple[float, float]]],
    tissue: str,
    size: float,
    rng: np.random.Generator,
    side: int = 1,
    plaque: float = -1.0,
) -> None:
    """Add vessels in the room that is left. Paths are mirrored for side -1; `plaque` is the amount for _add_plaques."""
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


def _add_segmental(part: Region, rng: np.random.Generator) -> None:
    """Add the lumbar arteries and veins around the vertebrae."""
    for level in (-96, -64, -32, 0, 32):
        for side in (-1, 1):
            path = np.array([(side * 6 - 4.0, 20, level), (side * 24, 6, level - 2), (side * 28, -14, level - 2)])
            box = part.crop(path.min(0) - 5, path.max(0) + 5)
            vessel = np.maximum(tube(box, path, np.array((1.3, 1.2, 1))), -box.free)
            box.paint(vessel, "vena_cava" if rng.random() < 0.5 else "aorta")
