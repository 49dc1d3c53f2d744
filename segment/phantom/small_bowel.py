"""The small bowel: loops that fill the rest of the cavity."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segment.phantom.meal import Meal, gas_levels, heights_of
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, sample, winding_tube

_STEP_MM = 11.0  # between the points of a loop


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

    The mesentery of obese patients keeps the loops apart. Normal loops are less than 30 mm wide. In an ileus, which 4 %
    of the patients have, they are 30 to 50 mm wide.
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
        smooth = curve(nodes, _STEP_MM)
        ends = np.cumsum(rng.uniform(60, 260, len(smooth))) / _STEP_MM  # of stretches of 60 to 260 mm
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
    level = gas_levels(heights_of(part, loops.points), np.float32(8), loops.stretch, rng)
    gas = np.where((kind == 2)[station], np.maximum(lumen, level.astype(np.float32)[station] - part.height), FAR_MM)
    part.paint(gas, "gas")
