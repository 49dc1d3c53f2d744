"""Bladder and ureters, with catheters and stents."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_max, tube

_BASE = (0.0, 36.0, -274.0)  # base of the bladder, behind the symphysis
_CATHETER, _STENT = 0.07, 0.02  # shares of patients, and of ureters


def sample_bladder_mm(rng: np.random.Generator) -> float:
    """Radius in mm of a ball with the bladder's volume: from nearly nothing to more than half a litre."""
    volume_ml = float(np.clip(np.exp(rng.normal(np.log(120), 0.95)), 6, 620))
    return float((volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


def add_bladder(part: Region, patient: SyntheticPatient, radius: float, rng: np.random.Generator) -> None:
    """Add the bladder: flat with a thick wall when it is empty, egg-shaped up to the navel when it is full."""
    full = float(np.clip((radius - 12) / 35, 0, 1))
    flat = 0.55 + 0.5 * full
    radii = radius * np.array((1.12, 0.95, 1 / 1.12 / 0.95)) * (flat**-0.5, flat**-0.5, flat)
    tilt = rng.normal(0.3, 0.15)
    center = np.array(_BASE) + np.array((rng.normal(0, 4), -tilt * radii[2], radii[2]))
    shape = ellipsoid(part, center, radii) + 1.2 * (2 - full) * part.field(rng, 26)
    bladder = part.claim(smooth_max(shape, part.z + 0.4 * part.y - 60, 8), 1.5)
    wall_mm = float(rng.uniform(2, 3.5) + 4 * (1 - full) * rng.random())
    lumen = bladder + wall_mm
    part.paint(bladder, "bladder_wall")
    fill, catheter = rng.spawn(2)
    _fill_bladder(part, lumen, patient, center, radius, fill)
    _add_catheter(part, lumen, center, radii, catheter)


def _fill_bladder(
    part: Region,
    lumen: np.ndarray,
    patient: SyntheticPatient,
    center: np.ndarray,
    radius: float,
    rng: np.random.Generator,
) -> None:
    """Fill the bladder with urine. Excreted contrast medium is heavy: it lies below a level that is more or less sharp.

    The table of tissues gives the mean of a delayed phase; here it varies from first traces to dense everywhere. In the
    other phases, contrast medium of an earlier injection appears in some patients.
    """
    mean = part.tissue_hu["bladder_urine"]
    excreting, earlier, share, dense, sharp = rng.random(5)
    if earlier > 0.04 and not (patient.phase == "delayed" and excreting < 0.75):
        part.paint(lumen, "bladder_urine", float(rng.uniform(0, 14)) - min(mean, 20))
        return
    axis = 0 if part.up[0] else 1
    middle = center[axis] * (part.up[axis])
    level = middle + radius * (2.4 * share - 1)
    below = np.clip((level - part.height) / np.float32(1 + 25 * sharp) + 0.5, 0, 1)
    part.paint(lumen, "bladder_urine", 8 - mean + below * np.float32(60 + 1200 * dense**2))


def _add_catheter(
    part: Region, lumen: np.ndarray, center: np.ndarray, radii: np.ndarray, rng: np.random.Generator
) -> None:
    """Add a catheter whose balloon holds it in the bladder, and the gas that entered through it."""
    present, balloon_mm, bubble = rng.random() < _CATHETER, float(rng.uniform(9, 14)), float(rng.uniform(0.1, 0.8))
    if not present:
        return
    place = np.array((center[0], _BASE[1] - 8, _BASE[2] + balloon_mm + 4))
    top = float(center @ (*part.up, 0)) + bubble * float(radii @ np.abs((*part.up, 0)))
    part.paint(np.maximum(lumen, top - part.height), "gas")
    balloon = ellipsoid(part, place, (balloon_mm,) * 3)
    part.paint(balloon, "plastic", -80)
    part.paint(balloon + 1, "cyst")
    way = curve(np.array([place, (0, 22, -288), (0, 26, -308)]), 8)
    tubing = tube(part, way, np.full(len(way), 3.0))
    part.paint(tubing, "plastic")
    part.paint(tubing + 2, "cyst")


def add_ureters(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a ureter from each kidney over the psoas and the iliac vessels to the bladder; waves of urine run down it."""
    for name, side, own in zip(("right_kidney", "left_kidney"), (1, -1), rng.spawn(2), strict=True):
        points = np.array(
            [(44.0, 0, -40), (37, 8, -62), (33, 22, -100), (34, 28, -148), (46, 6, -190), (48, -22, -225)]
        )
        points = np.concatenate([points, [(34, -12, -250), (16, 10, -264)]]) * (side, 1, 1)
        points[1:-1] += own.normal(0, 2.5, (6, 3))
        radius, phase = float(own.uniform(1.3, 2.3)), own.uniform(0, 300)
        wide = float(own.uniform(1.5, 2.6)) if own.random() < 0.04 else 1.0  # obstructed
        path = curve(points, 10)
        part = body.crop(path.min(0) - 8, path.max(0) + 8)
        if name in patient.absent or not part.x.size:
            continue
        stented = own.random() < _STENT
        ureter = part.claim(tube(part, path, np.full(len(path), radius * wide)), 0)
        waves = np.float32(-0.6 * max(0.0, patient.hu["urine"] - 20)) * (np.sin((part.z + phase) / 14) > 0.2)
        part.paint(ureter, "urine", waves)
        if stented:
            part.paint(tube(part, path, np.full(len(path), 1.3)), "plastic", 350)
