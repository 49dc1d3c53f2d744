"""Stomach, colon and small bowel: walls, content, and gas above the content."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_min, tube

def add_stomach(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add fundus, body and antrum. The patient lies on the back, so gas is in front and fluid or food behind."""
    fill = float(rng.uniform(0.65, 1.15))
    path = [(-48, 0, 74), (-60, 22, 52), (-58, 48, 22), (-40, 66, -8), (-8, 72, -22), (22, 62, -14), (34, 52, -4)]
    points = curve(np.array(path) + rng.normal(0, 4, (7, 3)), 10)
    widths = np.array((30, 32, 28, 23, 18, 14, 9)) * (fill, fill, fill, fill, fill**0.5, 1, 1)
    radii = np.interp(np.linspace(0, 1, len(points)), np.linspace(0, 1, 7), widths)
    part = body.crop((-110, -50, -60), (60, 115, 115))
    bag = part.claim(tube(part, points, radii) + 1.5 * part.field(rng, 25), patient.gap_mm)
    folds = 1.2 * part.field(rng, 7)
    lumen = bag + 4.5 + folds
    part.paint(bag, "stomach_wall", organ="stomach")
    content = "food" if rng.random() < 0.4 else "stomach_fluid"
    part.paint(lumen, content, (40 if content == "food" else 3) * part.field(rng, 6))
    level = rng.uniform(48, 95)  # surface of the fluid
    part.paint(np.maximum(lumen, level - part.height), "gas")


def add_colon(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the large bowel: haustra, stool and gas."""
    ascending = [(96, 20, -175), (98, 12, -140), (100, 8, -100), (96, 14, -66)]
    transverse = [(78, 52, -56), (40, 80, -66), (0, 88, -76), (-44, 80, -60), (-80, 54, -20)]
    descending = [(-100, 20, 8), (-108, 0, -40), (-108, -2, -90), (-104, 8, -140), (-96, 14, -190)]
    path = ascending + transverse + descending
    points = curve(np.array(path) + rng.normal(0, 6, (len(path), 3)), 7)
    along_mm = np.arange(len(points)) * 7
    width = np.interp(np.linspace(0, 1, len(points)), (0, 0.25, 0.5, 0.75, 1), (25, 22, 19, 17, 13))
    radii = width * rng.uniform(0.8, 1.15) * (1 + 0.13 * np.sin(along_mm * (2 * np.pi / 32)))
    part = body.crop(points.min(0) - 35, points.max(0) + 35)
    wall = part.claim(tube(part, points, radii), 0.6 * patient.gap_mm + 0.5)
    lumen = wall + 2.5
    part.paint(wall, "bowel_wall")
    part.paint(lumen, "stool", 35 * part.field(rng, 5))
    # Bubbles in the stool, and gas above a level that varies slowly along the bowel.
    part.paint(np.maximum(lumen + 1, 4 * (1.5 - part.field(rng, 4))), "gas", 360)
    level = np.where(np.abs(part.x) > 70, 16, 88) + 16 * part.field(rng, 130) + rng.uniform(-8, 8)
    part.paint(np.maximum(lumen, level - part.height), "gas")


def add_small_bowel(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Fill the rest of the cavity with bent loops: collapsed, or with fluid, gas or oral contrast."""
    oral = patient.phase != "arterial" and rng.random() < 0.35
    for _ in range(150):
        center = np.array((rng.uniform(-95, 95), rng.uniform(15, 95), rng.uniform(-180, -5)))
        step = rng.normal(0, 1, 3)
        step *= 24 / np.linalg.norm(step)
        bend = np.cross(step, rng.normal(0, 1, 3))
        bend *= 14 / np.linalg.norm(bend)
        points = curve(np.array((center - step - bend, center + bend * 0.4, center + step - bend)), 9)
        radius, wall = rng.uniform(8, 13), rng.normal(0, 8)
        content = rng.choice(("collapsed", "fluid", "gas"), p=(0.35, 0.5, 0.15))
        fluid = "oral_contrast" if oral and rng.random() < 0.6 else "bowel_fluid"
        part = body.crop(points.min(0) - 18, points.max(0) + 18)
        shape = tube(part, points, np.full(len(points), radius))
        if not _fits(part, shape):
            continue
        loop = part.claim(shape, 0.5 * patient.gap_mm)
        part.paint(loop, "bowel_wall", wall)
        if content == "collapsed":
            part.paint(loop + radius * 0.6, "bowel_fluid")
            continue
        part.paint(loop + 2.2, fluid, rng.normal(0, 8))
        if content == "gas":
            part.paint(np.maximum(loop + 2.2, center[1] - part.height), "gas")


def _fits(part: Region, shape: np.ndarray) -> bool:
    """Whether more than 55 % of a loop is in free room. Otherwise only a sliver of it would be visible."""
    inside = shape < 0
    return bool(inside.any()) and float((part.free[inside] > 0).mean()) > 0.55


def add_duodenum(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the loop around the head of the pancreas."""
    path = [(36, 52, -4), (52, 40, -8), (56, 30, -34), (46, 28, -58), (10, 42, -62), (-24, 40, -52)]
    points = curve(np.array(path) + rng.normal(0, 2, (6, 3)), 9)
    part = body.crop(points.min(0) - 16, points.max(0) + 16)
    loop = part.claim(tube(part, points, np.full(len(points), rng.uniform(9, 12))), 0.5 * patient.gap_mm)
    part.paint(loop, "bowel_wall")
    part.paint(smooth_min(loop, ellipsoid(part, points[0], (6, 6, 6)), 2) + 3, "bowel_fluid")
