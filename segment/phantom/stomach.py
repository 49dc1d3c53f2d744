"""Stomach and duodenum: walls, content, and gas above the content."""

import numpy as np

from segment.phantom.meal import Meal, heights_of
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, ellipsoid, smooth_max, tube
from segment.phantom.tissues import CODES

# Points from the fundus to the pylorus, how far each sinks in a J-shaped stomach, and the half width there.
_STOMACH = np.array(
    [
        (-52, -6, 78, 0, 29),
        (-60, 14, 62, 0, 32),
        (-62, 38, 36, 8, 30),
        (-52, 60, 6, 40, 24),
        (-22, 72, -16, 80, 20),
        (10, 68, -18, 55, 16),
        (28, 58, -10, 20, 11),
        (36, 50, -2, 5, 7),
    ]
)


def add_stomach(body: Region, patient: SyntheticPatient, meal: Meal, rng: np.random.Generator) -> None:
    """Add fundus, body and antrum, from collapsed to distended: less than 50 mL to more than 1 L."""
    empty, fills = bool(rng.random() < 0.22), rng.uniform((0.35, 0.7, 1.3), (0.7, 1.4, 2.1))
    if meal.large:
        fill = float(fills[2])
    elif empty:
        fill = float(fills[0])
    else:
        fill = float(fills[1])
    # A steer-horn stomach lies high, a J-shaped one reaches the pelvis in slim patients, and a full one sinks.
    sink = float(1.4 * rng.beta(1.2, 3) - 0.2 + max(fill - 1.2, 0))
    path = _STOMACH[:, :3] - _STOMACH[:, 3:4] * (0, 0, 1) * sink + rng.normal(0, 4, (len(_STOMACH), 3))
    if "spleen" in patient.absent:
        path[:3] += (-14, -6, 4)
    full = fill ** np.array((1, 1, 1, 1, 0.9, 0.7, 0.4, 0.2))
    points = curve(np.column_stack([path, _STOMACH[:, 4] * full]), 10)
    points, radii = points[:, :3], points[:, 3]
    part = body.crop(points.min(0) - radii.max() - 6, points.max(0) + radii.max() + 6)
    bag = tube(part, points, radii) + 2 * part.field(rng, 28)
    # It lies in front of the pancreas, whose tail is further back and higher.
    pancreas = np.minimum(float(rng.normal(14, 6)) - 1.3 * (part.z - 34), np.clip(64 + 0.5 * part.x, 25, 52))
    bag = smooth_max(bag, 0.7 * (pancreas - part.y), 20)
    bag = part.claim(bag, 0.3 + 0.6 * patient.gap_mm)
    folds = (2.4 if fill < 0.7 else 1.2) * part.field(rng, 7)  # rugae, higher in a collapsed stomach
    lumen = bag + float(rng.uniform(3, 5)) + folds
    part.paint(bag, "stomach_wall", organ="stomach")
    _fill_stomach(part, lumen, heights_of(part, points), meal, rng)


def _fill_stomach(part: Region, lumen: np.ndarray, heights: np.ndarray, meal: Meal, rng: np.random.Generator) -> None:
    """Fill the stomach with fluid, food or contrast medium. Dense content sinks, gas is above it."""
    food_share, sediment_share, gas_share = rng.uniform(0.2, 1), rng.uniform(0.05, 0.6), rng.beta(1.3, 2.2)
    kind = rng.random()
    lowest, highest = heights.min() - 12, heights.max() + 14
    shallow = part.height - np.float32(lowest)  # above the lowest point
    span = np.float32(highest - lowest)
    lumps = part.field(rng, 6)
    grain, fatty, dense = rng.uniform(10, 50), rng.uniform(-40, 15), rng.uniform(0.3, 1)
    part.paint(lumen, "stomach_fluid", 3 * lumps)
    if meal.positive and kind < 0.8:
        contrast = meal.hu * dense - part.tissue_hu["oral_contrast"]
        layer = 1.0 if kind < 0.5 else sediment_share  # mixed, or settled at the bottom
        part.paint(np.maximum(lumen, shallow - layer * span), "oral_contrast", contrast + 6 * lumps)
    elif kind < 0.45:
        clots = np.float32(1.5) * part.field(rng, 14) + shallow - food_share * span
        part.paint(np.maximum(lumen, clots), "food", grain * lumps + fatty)
        bubbles = np.maximum(lumen + 2, 4 * (1.7 - part.field(rng, 5)))
        part.paint(np.maximum(bubbles, clots), "gas", 250)
    part.paint(np.maximum(lumen, span * np.float32(1 - 0.7 * gas_share) - shallow), "gas")


def add_hiatus_hernia(body: Region, meal: Meal, rng: np.random.Generator) -> None:
    """Add the part of the stomach that slides through the diaphragm, behind the heart, in one of twelve patients."""
    happens, radius = rng.random() < 0.08, float(rng.uniform(13, 34))
    center = np.array((-12, 44, 92 + 0.6 * radius)) + rng.normal(0, 5, 3)
    level = center @ (*body.up, 0) + rng.uniform(-0.5, 1) * radius
    filled = rng.random()
    if not happens:
        return
    part = body.crop(center - 1.4 * radius, center + 1.4 * radius)
    room = [CODES[name] for name in ("lung", "fat", "visceral_fat", "muscle", "oesophagus", "lung_vessel")]
    bag = ellipsoid(part, center, radius * np.array((1.15, 0.9, 1.2))) + 2 * part.field(rng, 20)
    bag = smooth_max(bag, 34 - part.y, 6)  # in front of the aorta
    bag = np.where(np.isin(part.tissue, room), bag, FAR_MM)
    part.paint(bag, "stomach_wall", organ="stomach")
    if meal.positive and filled < 0.5:
        content = "oral_contrast"
    elif filled < 0.75:
        content = "food"
    else:
        content = "stomach_fluid"
    part.paint(bag + 4.5, content, 6 * part.field(rng, 6))
    part.paint(np.maximum(bag + 4.5, np.float32(level) - part.height), "gas")


def add_duodenum(body: Region, patient: SyntheticPatient, meal: Meal, rng: np.random.Generator) -> None:
    """Add the bulb and the loop around the head of the pancreas, up to the jejunum."""
    path = [(36, 52, -3), (50, 42, -6), (58, 30, -32), (48, 28, -60), (10, 41, -64), (-22, 40, -48), (-32, 46, -24)]
    points = curve(np.array(path) + rng.normal(0, 3, (7, 3)), 9)
    radius = float(rng.uniform(7, 13))
    radii = radius * np.interp(np.linspace(0, 1, len(points)), (0, 0.12, 0.25, 1), (0.6, 1.25, 1, 0.9))
    part = body.crop(points.min(0) - 18, points.max(0) + 18)
    loop = part.claim(tube(part, points, radii), 0.3 * patient.gap_mm)
    content = "oral_contrast" if meal.positive and rng.random() < 0.5 else "bowel_fluid"
    bulb, gas = rng.random(), rng.random()
    part.paint(loop, "bowel_wall", 12 * part.field(rng, 6))
    part.paint(loop + 2.6, content, rng.normal(0, 10))
    if bulb < 0.4:
        level = float(heights_of(part, points[2:3])[0])
        near = ellipsoid(part, points[2], (14, 14, 14))
        part.paint(np.maximum(np.maximum(loop + 2.6, near), level - part.height), "gas")
    if gas < 0.15:
        part.paint(np.maximum(loop + 2.6, float(heights_of(part, points).mean()) + 5 - part.height), "gas")
