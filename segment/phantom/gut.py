"""Stomach, duodenum, colon and small bowel: walls, content, and gas above the content."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, ellipsoid, sample, smooth_max, tube, winding_tube
from segment.phantom.tissues import CODES

_BOWEL_STEP_MM = 11.0  # between the points of a loop


@dataclass(frozen=True)
class Meal:
    """What the patient drank before the scan.

    Attributes:
        positive: Whether it was positive oral contrast medium. It is then in some of stomach, small bowel and colon.
        water: Whether it was much water or another negative contrast medium, which distends the small bowel.
        large: Whether the stomach is distended and pushes the liver aside.
        hu: HU of the contrast medium in the stomach.
    """

    positive: bool
    water: bool
    large: bool
    hu: float


def sample_meal(patient: SyntheticPatient, rng: np.random.Generator) -> Meal:
    """Sample a meal. Arterial phases, which show vessels, are rarely combined with positive contrast medium."""
    share = 0.1 if patient.phase == "arterial" else 0.35
    kind, hu = rng.random(), float(rng.uniform(90, 420))
    large = bool(rng.random() < 0.12)
    return Meal(positive=bool(kind < share), water=bool(kind > 0.88), large=large, hu=hu)


# Stomach -----------------------------------------------------------------------------------------------------------

# Points from the fundus to the pylorus, how far each sinks in a stomach of the shape of a J, and its half width.
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
    fill = float(fills[2] if meal.large else fills[0] if empty else fills[1])
    # A steer's horn lies higher, a J reaches the pelvis of a slim patient, and much content sinks.
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
    _fill_stomach(part, lumen, _heights(part, points), meal, rng)


def _fill_stomach(part: Region, lumen: np.ndarray, heights: np.ndarray, meal: Meal, rng: np.random.Generator) -> None:
    """Fill it with fluid, food or contrast medium; what is dense sinks, and gas is above it."""
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
    content = "oral_contrast" if meal.positive and filled < 0.5 else "food" if filled < 0.75 else "stomach_fluid"
    part.paint(bag + 4.5, content, 6 * part.field(rng, 6))
    part.paint(np.maximum(bag + 4.5, np.float32(level) - part.height), "gas")


def _heights(region: Region, points: np.ndarray) -> np.ndarray:
    """`Region.height` of points (N,3)."""
    return np.asarray(points[:, :2] @ np.array(region.up))


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
        level = float(_heights(part, points[2:3])[0])
        near = ellipsoid(part, points[2], (14, 14, 14))
        part.paint(np.maximum(np.maximum(loop + 2.6, near), level - part.height), "gas")
    if gas < 0.15:
        part.paint(np.maximum(loop + 2.6, float(_heights(part, points).mean()) + 5 - part.height), "gas")


# Colon -------------------------------------------------------------------------------------------------------------

# Half widths in mm of caecum, ascending, transverse and descending colon. Published diameters without gas insufflation
# are 30 to 50 mm, more in the caecum and less in the descending colon (Sadahiro et al. 1992, Surg Radiol Anat 14:251).
_COLON_WIDTH = ((0, 27), (0.1, 25), (0.25, 22), (0.5, 19), (0.72, 17), (0.8, 14), (1, 12))

# How often the colon lies in front of liver or spleen. Published for the liver (Chilaiditi's sign): 0.025 to 0.28 %
# (Weng et al. 2014, doi:10.3892/ol.2014.1903). More often here, because a network must have seen it.
_COLON_FIRST = 0.07


def sample_colon_first(rng: np.random.Generator) -> bool:
    """Whether the flexures rise in front of liver and spleen, so that the colon takes its room before they do."""
    return bool(rng.random() < _COLON_FIRST)


def add_colon(body: Region, patient: SyntheticPatient, meal: Meal, high: bool, rng: np.random.Generator) -> None:
    """Add the large bowel: haustra, stool, fluid and gas, or collapsed.

    Args:
        body: The region to add it to.
        patient: The patient.
        meal: What is in it.
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
    """Half width at every point: wide or collapsed by section, with haustra about 30 mm long."""
    place = np.linspace(0, 1, number)
    sections = rng.normal(0, 0.2, 9)
    empty = rng.random(9) < (0.08, 0.1, 0.15, 0.25, 0.3, 0.3, 0.4, 0.5, 0.5)
    sections += np.where(empty, np.log(0.5), 0)
    width = np.interp(place, *np.array(_COLON_WIDTH).T) * np.exp(np.interp(place, np.linspace(0, 1, 9), sections))
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
    sections = np.cumsum(rng.random(number) < 0.08)  # between folds that keep the gas apart
    gas_level = _gas_levels(_heights(part, points), radii, sections, rng)
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


def _gas_levels(
    heights: np.ndarray, radii: np.ndarray | np.float32, sections: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Height above which there is gas at every point of a bowel: level in each section, which may be full or empty.

    Args:
        heights: (N,) height of the points; NaN between two pieces.
        radii: Half width there, in mm.
        sections: (N,) ascending number of the section to which a point belongs.
        rng: Random numbers.
    """
    number = int(sections[-1]) + 1
    lowest, highest = np.full(number, FAR_MM), np.full(number, -FAR_MM)
    np.fmin.at(lowest, sections, heights - radii)
    np.fmax.at(highest, sections, heights + radii)
    full = rng.beta(1.6, 1.0, number)  # share of the height that is below the gas
    level: np.ndarray = (lowest + full * (highest - lowest))[sections]
    return level


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


# Small bowel -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loops:
    """The small bowel as a chain of points; a row of NaN separates pieces.

    Attributes:
        points: (N,3) anatomical mm.
        stretch: (N,) index of the stretch of bowel to which a point belongs; a stretch has one content.
    """

    points: np.ndarray
    stretch: np.ndarray


def add_small_bowel(body: Region, patient: SyntheticPatient, meal: Meal, rng: np.random.Generator) -> None:
    """Fill the rest of the cavity with loops: collapsed, or with fluid, gas or oral contrast medium.

    The mesentery of obese patients keeps the loops apart. Normal loops are less than 30 mm wide, those of an ileus,
    which 4 % have, 30 to 50 mm.
    """
    shape_rng, fill_rng, texture_rng = rng.spawn(3)
    ileus = shape_rng.random() < 0.04
    apart = float(shape_rng.uniform(34, 42)) if ileus else 22 + 7 * patient.visceral + float(shape_rng.uniform(0, 4))
    loops = _wind_loops(patient, apart, shape_rng)
    part = body.crop((-125, -35, -295), (125, 118, 60))
    stretches = int(loops.stretch.max()) + 1
    content = fill_rng.choice(4, stretches, p=_shares(meal, ileus))  # collapsed, fluid, gas, contrast medium
    width = np.where(content == 0, fill_rng.uniform(6.5, 9.5, stretches), fill_rng.uniform(9, 15, stretches))
    radii = (width * (1.6 if ileus else 1))[loops.stretch] * fill_rng.normal(1, 0.1, len(loops.stretch))
    # A loop is narrow where there is little room, and ends where there is none.
    room = sample(part, part.free, loops.points, outside=20)
    radii = np.where(room < 2.5, -20, np.minimum(radii, room + 3))
    distance, station = winding_tube(part, loops.points, radii, 4)
    wall = part.claim(distance + 0.7 * part.field(texture_rng, 12), 0.25 * patient.gap_mm)
    _fill_loops(part, (wall, station), loops, content, (fill_rng, texture_rng))


def _shares(meal: Meal, ileus: bool) -> Sequence[float]:
    """Probabilities that a stretch is collapsed, or filled with fluid, gas or contrast medium."""
    if ileus:
        return (0.1, 0.7, 0.2, 0.0)
    if meal.water:
        return (0.2, 0.75, 0.05, 0.0)
    return (0.3, 0.2, 0.08, 0.42) if meal.positive else (0.48, 0.42, 0.1, 0.0)


def _wind_loops(patient: SyntheticPatient, apart_mm: float, rng: np.random.Generator) -> _Loops:
    """Random walks over a lattice of points, each visited once, and smooth curves through them."""
    low, high = np.array((-112, 4, -280)), np.array((112, 102, 44))
    number = np.maximum(((high - low) / apart_mm).astype(int), 1) + 1
    pieces, stretches, stretch = [], [], 0
    for walk in _walks(number, rng):
        nodes = low + np.array(walk) * (high - low) / (number - 1) + rng.normal(0, 0.22 * apart_mm, (len(walk), 3))
        nodes = nodes[_may_hold_bowel(nodes, patient, rng)]
        if len(nodes) < 2:
            continue
        smooth = curve(nodes, _BOWEL_STEP_MM)
        ends = np.cumsum(rng.uniform(60, 260, len(smooth))) / _BOWEL_STEP_MM  # of stretches of 60 to 260 mm
        pieces += [smooth, np.full((1, 3), np.nan)]
        stretches.append(stretch + np.searchsorted(ends, np.arange(len(smooth) + 1)))
        stretch = int(stretches[-1][-1]) + 1
    return _Loops(np.concatenate(pieces), np.concatenate(stretches))


def _walks(number: np.ndarray, rng: np.random.Generator) -> list[list[tuple[int, int, int]]]:
    """Random self-avoiding walks that together visit all nodes of a lattice of (I,J,K) nodes."""
    unvisited = {(int(i), int(j), int(k)) for i, j, k in np.ndindex(*number)}
    walks = []
    for start in rng.permutation(np.array(sorted(unvisited))):
        node = (int(start[0]), int(start[1]), int(start[2]))
        walk = []
        while node in unvisited:
            unvisited.remove(node)
            walk.append(node)
            i, j, k = node
            around = [(i - 1, j, k), (i + 1, j, k), (i, j - 1, k), (i, j + 1, k), (i, j, k - 1), (i, j, k + 1)]
            ways = [way for way in around if way in unvisited]
            if ways:
                node = ways[int(rng.integers(len(ways)))]
        if walk:
            walks.append(walk)
    return walks


def _may_hold_bowel(nodes: np.ndarray, patient: SyntheticPatient, rng: np.random.Generator) -> np.ndarray:
    """Whether a point is in the peritoneal cavity and not in the fat of mesentery or omentum."""
    x, y, z = nodes.T
    behind = np.where(z > -140, 20 - 0.1 * np.maximum(np.abs(x) - 40, 0), 5)  # kidneys and psoas
    for name, side in (("right_kidney", 1), ("left_kidney", -1)):
        if name in patient.absent:  # bowel falls into the empty bed
            behind = np.where((side * x > 25) & (z > -90), -30, behind)
    top = np.where(x < -5, 45, -25)  # below the stomach, and below the liver
    root = np.hypot(x - 4, y - 45) + np.maximum(np.abs(z + 50) - 35, 0)  # of the mesentery
    omentum = (y > 72) & (rng.random(len(nodes)) < 0.75 * patient.visceral)
    return np.asarray((y > behind) & (z < top) & (root > 12 + 14 * patient.visceral) & ~omentum)


def _fill_loops(
    part: Region,
    tube_distance: tuple[np.ndarray, np.ndarray],
    loops: _Loops,
    content: np.ndarray,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> None:
    """Paint the walls, brighter and feathery in the jejunum (upper left), and the content of every stretch."""
    wall, station = tube_distance
    rng, texture_rng = rngs
    stretches = len(content)
    jejunum = np.nan_to_num(loops.points[:, 2] - 0.6 * loops.points[:, 0]) > -75
    folds = part.field(texture_rng, 5)
    enhanced = part.tissue_hu["bowel_wall"] > 55
    bright = rng.normal(0, 9, stretches)[loops.stretch] + np.where(jejunum & enhanced, 14, 0)
    feather = np.where(jejunum, 1.3, 0.2).astype(np.float32)[station] * folds
    part.paint(wall, "bowel_wall", bright.astype(np.float32)[station] + 8 * folds)
    lumen = wall + 2.2 + feather
    kind = content[loops.stretch]
    narrow = np.where(kind == 0, 2.2, 0).astype(np.float32)[station]
    dense = np.maximum(rng.uniform(-150, 230, stretches), 60 - part.tissue_hu["oral_contrast"])
    fluid = rng.normal(0, 12, stretches)
    part.paint(lumen + narrow, "bowel_fluid", fluid[loops.stretch].astype(np.float32)[station])
    contrast = np.where((kind == 3)[station], lumen, FAR_MM)
    part.paint(contrast, "oral_contrast", dense[loops.stretch].astype(np.float32)[station])
    level = _gas_levels(_heights(part, loops.points), np.float32(8), loops.stretch, rng)
    gas = np.where((kind == 2)[station], np.maximum(lumen, level.astype(np.float32)[station] - part.height), FAR_MM)
    part.paint(gas, "gas")
