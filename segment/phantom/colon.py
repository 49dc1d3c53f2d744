"""The colon from the caecum to the descending colon, with the appendix. `pelvis` adds sigmoid colon and rectum."""

import numpy as np

from segment.phantom.meal import Meal, gas_levels, heights_of
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, tube, winding_tube

# Half widths in mm from the caecum to the descending colon, by position from 0 to 1: our estimates for a colon that is
# not insufflated.
_COLON_WIDTH = ((0, 27), (0.1, 25), (0.25, 22), (0.5, 19), (0.72, 17), (0.8, 14), (1, 12))

# How often the colon lies in front of liver or spleen. Published for the liver (Chilaiditi's sign): 0.025 to 0.28 %
# (Weng et al. 2014, doi:10.3892/ol.2014.1903). It is more frequent here, so that networks see it in training.
_COLON_FIRST = 0.07


def sample_colon_first(rng: np.random.Generator) -> bool:
    """Whether the flexures rise in front of liver and spleen; the colon is then added before these organs."""
    return bool(rng.random() < _COLON_FIRST)


def add_colon(body: Region, patient: SyntheticPatient, meal: Meal, high: bool, rng: np.random.Generator) -> None:
    """Add the colon with its haustra: filled with stool, fluid and gas, or collapsed.

    Args:
        body: The region to add it to.
        patient: The patient.
        meal: What the colon contains.
        high: Whether the flexures rise in front of liver and spleen.
        rng: Random numbers.
    """
    points = curve(_colon_path(patient, high, rng), 8)
    number = len(points)
    radii = _colon_radii(number, rng)
    part = body.crop(points.min(0) - 38, points.max(0) + 38)
    distance, station = winding_tube(part, points, radii, 6)
    wall = part.claim(distance + 0.8 * part.field(rng, 12), 0.2 + 0.4 * patient.gap_mm)
    part.paint(wall, "bowel_wall")
    _fill_colon(part, wall + float(rng.uniform(1.8, 3)), station, (points, radii), meal, rng)
    _add_appendix(body, points[0], patient, rng)


def _colon_path(patient: SyntheticPatient, high: bool, rng: np.random.Generator) -> np.ndarray:
    """Points from the caecum to the descending colon at the pelvis; the sigmoid colon belongs to the pelvis."""
    bottom, sag = rng.normal(-166, 20), 150 * rng.beta(1.2, 3.5)
    right, left = rng.normal(-58, 16), rng.normal(8, 18)
    flexures = [(90, 22, right), (78, 52, right + 6)], [(-82, 50, left - 14), (-100, 22, left)]
    if high and rng.random() < 0.6:
        top = rng.uniform(5, 60)
        flexures = [(110, 44, -30), (102, 72, top), (66, 98, top - 25)], flexures[1]
    if high or "spleen" in patient.absent:
        top = rng.uniform(35, 62)
        flexures = flexures[0], [(-76, 76, top - 25), (-108, 40, top), (-114, 6, top - 30)]
    if "right_kidney" in patient.absent:
        flexures[0][0] = (72, -6, -30)
    ascending = [(88, 30, bottom), (98, 14, bottom / 2 + right / 2)]
    middle = [(40, 82, -50 - 0.75 * sag), (0, 88, -54 - sag), (-44, 82, -42 - 0.7 * sag)]
    away = 20 if "left_kidney" in patient.absent else 0
    descending = [(-108 + away, -away, -40), (-108, 0, -95), (-102, 8, -145), (-96, 14, -190)]
    path = np.array([*ascending, *flexures[0], *middle, *flexures[1], *descending], float)
    path[:-1] += rng.normal(0, 6, (len(path) - 1, 3))
    return path


def _colon_radii(number: int, rng: np.random.Generator) -> np.ndarray:
    """Half width at every point: sections are wide or collapsed, haustra are about 30 mm long."""
    position = np.linspace(0, 1, number)
    sections = rng.normal(0, 0.2, 9)
    empty = rng.random(9) < (0.08, 0.1, 0.15, 0.25, 0.3, 0.3, 0.4, 0.5, 0.5)
    sections += np.where(empty, np.log(0.5), 0)
    width = np.interp(position, *np.array(_COLON_WIDTH).T)
    width = width * np.exp(np.interp(position, np.linspace(0, 1, 9), sections))
    phase = np.cumsum(2 * np.pi * 8 / rng.uniform(24, 40, number))
    return np.asarray(width * rng.uniform(0.8, 1.2) * (1 + rng.uniform(0.08, 0.22) * np.sin(phase)))


def _fill_colon(
    part: Region,
    lumen: np.ndarray,
    station: np.ndarray,
    shape: tuple[np.ndarray, np.ndarray],
    meal: Meal,
    rng: np.random.Generator,
) -> None:
    """Fill the colon: stool from fatty (-200 HU) to tagged by contrast medium, fluid in some sections, and gas."""
    points, radii = shape
    number = len(points)
    stool = rng.normal(0, 35) + _drift(number, 7, 45, rng)
    tagged = rng.random() < (0.45 if meal.positive else 0.04)
    contrast = (_drift(number, 6, 1, rng) > rng.uniform(-0.5, 1)) & tagged
    fluid = _drift(number, 7, 1, rng) > 1.1
    sections = np.cumsum(rng.random(number) < 0.08)  # folds divide the gas into sections
    gas_level = gas_levels(heights_of(part, points), radii, sections, rng)
    lumps, grain = part.field(rng, 5), rng.uniform(15, 50)
    part.paint(lumen, "stool", np.clip(stool[station] + grain * lumps, -210, 140))
    # Bubbles in the stool.
    part.paint(np.maximum(lumen + 1, 4 * (rng.uniform(1.0, 2.2) - part.field(rng, 4))), "gas", rng.uniform(150, 500))
    dense = rng.uniform(90, 500) - part.tissue_hu["oral_contrast"]
    for chosen, tissue, offset in (
        (fluid, "bowel_fluid", float(rng.uniform(0, 30))),
        (contrast, "oral_contrast", dense + 40 * lumps),
    ):
        part.paint(np.where(chosen[station], lumen, FAR_MM), tissue, offset)
    part.paint(np.maximum(lumen, gas_level.astype(np.float32)[station] - part.height), "gas")


def _drift(number: int, knots: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Values that change slowly along a bowel: linear between random knots."""
    return np.interp(np.linspace(0, 1, number), np.linspace(0, 1, knots), rng.normal(0, spread, knots))


def _add_appendix(body: Region, caecum: np.ndarray, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the appendix below or behind the caecum: 3 to 5 mm half width, 60 to 100 mm long."""
    aim = rng.normal(0, 1, 3) - (0.8, 0.3, 0.5)
    aim *= 26 / np.linalg.norm(aim)
    bend = rng.normal(0, 10, (2, 3))
    base = caecum + np.array((-14, 0, -12))
    points = curve(np.stack([base, base + aim + bend[0], caecum + 2.6 * aim + bend[1]]), 9)
    part = body.crop(points.min(0) - 8, points.max(0) + 8)
    worm = part.claim(tube(part, points, np.full(len(points), rng.uniform(2.6, 4.5))), 0.2 * patient.gap_mm)
    part.paint(worm, "bowel_wall")
    part.paint(worm + 2, "gas" if rng.random() < 0.4 else "bowel_fluid")
