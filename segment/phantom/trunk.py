"""The trunk: skin, fat, muscle wall, lungs, diaphragm, and the abdominal cavity for the organs."""

from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_max, smooth_min, tube

# Half width, half depth and middle (y) of the trunk without fat at heights z, in mm. L1 is at z = 0.
_HEIGHTS = (-170.0, -110.0, -50.0, 20.0, 130.0)
_HALF_WIDTH = (142.0, 130.0, 128.0, 136.0, 138.0)
_HALF_DEPTH = (88.0, 86.0, 87.0, 93.0, 100.0)
_MIDDLE = (14.0, 14.0, 15.0, 19.0, 23.0)

# Exponent n of the trunk's cross-section, a superellipse |x/a|^n + |y/b|^n = 1.
_SQUARENESS = 2.5


@dataclass(frozen=True)
class Trunk:
    """Distances (I,J,K) that define the positions of bones and wall muscles.

    Attributes:
        skin: Distance to the skin in mm, negative inside.
        lean: Distance to the outer surface of the muscles in mm, negative inside.
        cavity: Distance to the inner surface of the wall in mm, negative inside.
        frontal: Direction from the middle of the trunk: 1 front, 0 side, -1 back.
    """

    skin: np.ndarray
    lean: np.ndarray
    cavity: np.ndarray
    frontal: np.ndarray


def add_trunk(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> Trunk:
    """Add everything except bones and organs, and claim everything except the abdominal cavity."""
    trunk = _measure(body, patient, rng)
    body.paint(trunk.skin, patient.hu["skin"])
    body.paint(trunk.skin + 2.6, patient.hu["fat"] + 6 * body.field(rng, 10))
    _add_wall(body, trunk, patient, rng)
    body.paint(trunk.cavity, patient.hu["fat"] + 6 + 5 * body.field(rng, 14))
    dome = _diaphragm(body, rng)
    _add_lungs(body, trunk, dome, patient, rng)
    np.minimum(-trunk.cavity, -dome, out=body.free)
    _add_back_muscles(body, patient, rng)
    return trunk


def _measure(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> Trunk:
    height = body.axes[2]
    width, depth, middle = (
        np.interp(height, _HEIGHTS, values).astype(np.float32) for values in (_HALF_WIDTH, _HALF_DEPTH, _MIDDLE)
    )
    y = body.y - middle
    level = (np.abs(body.x / width) ** _SQUARENESS + np.abs(y / depth) ** _SQUARENESS) ** (1 / _SQUARENESS)
    radius = np.hypot(body.x, y)
    lean = radius - radius / np.maximum(level, np.float32(1e-3))
    frontal = y / np.maximum(radius, 1)
    sideways = 1 - frontal * frontal
    thickness = 9 + 5 * sideways + np.float32(4) * np.clip((body.z + 20) / 60, 0, 1)
    lower = np.clip((110 - body.z) / 160, 0.45, 1)
    fat = patient.subcutaneous_mm * lower * (0.85 + 0.3 * frontal + 0.25 * sideways)
    fat = fat * (1 + 0.12 * body.field(rng, 60)) + 3
    skin = smooth_max(lean - fat, back_mm(patient) - body.y, 40)  # the table flattens the back
    return Trunk(skin, lean, lean + thickness, frontal)


def back_mm(patient: SyntheticPatient) -> float:
    """Coordinate y of the plane on which the back lies."""
    return -76 - 0.55 * patient.subcutaneous_mm


def _add_wall(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    streaks = np.clip(body.field(rng, 7) - 0.9, 0, 2) * np.float32(-25 - 25 * patient.visceral)
    body.paint(trunk.lean, patient.hu["muscle"] + streaks)
    side = np.abs(body.x)
    # Fat at the linea alba and the lateral edges of the rectus muscles, and between the layers of the lateral muscles.
    front = np.maximum(25 - body.y, trunk.lean)
    seams = np.maximum(np.minimum(side - 2, np.abs(side - 66) - 1.5), front)
    layers = np.maximum(np.minimum(np.abs(trunk.lean + 4.5), np.abs(trunk.lean + 9)) - 0.6, 75 - side)
    below_ribs = body.z - 10
    for gap in (seams, layers):
        body.paint(np.maximum(gap, below_ribs), patient.hu["fat"])


def _diaphragm(body: Region, rng: np.random.Generator) -> np.ndarray:
    """Distance to the diaphragm, negative in the abdomen."""
    right, left = rng.normal(84, 5), rng.normal(76, 5)
    upper = body.crop((-160, -120, -5), (160, 140, 130))
    shape = ellipsoid(upper, (64, 19, 20), (66, 82, right))
    shape = smooth_min(shape, ellipsoid(upper, (-62, 18, 17), (64, 80, left)), 14)
    shape = smooth_min(shape, ellipsoid(upper, (0, 42, 14), (72, 62, 72)), 14)
    floor = upper.z - (16 + np.float32(0.22) * (upper.y - 19))  # the costophrenic recess reaches lower at the back
    dome = body.z - 10
    replace(body, free=dome).crop((-160, -120, -5), (160, 140, 130)).free[:] = smooth_min(shape, floor, 8)
    return dome


def _add_lungs(
    body: Region, trunk: Trunk, dome: np.ndarray, patient: SyntheticPatient, rng: np.random.Generator
) -> None:
    inside = trunk.cavity + 1
    body.paint(np.maximum(np.maximum(inside, dome - 3), -dome), patient.hu["muscle"])
    mediastinum = smooth_min(np.abs(body.x + 2) - 17, ellipsoid(body, (-18, 52, 118), (58, 42, 62)), 12)
    mediastinum = np.maximum(mediastinum, -52 - body.y)
    lung = smooth_max(smooth_max(inside, 3 - dome, 5), 2 - mediastinum, 6)
    body.paint(lung, patient.hu["lung"] + 25 * body.field(rng, 9) - 0.35 * (body.y - 20))
    air = replace(body, free=lung)
    for _ in range(36):
        side = rng.choice((-1, 1))
        start = np.array((side * 30 - 5, rng.uniform(-10, 50), rng.uniform(90, 150)))
        end = np.array((side * rng.uniform(50, 110), rng.uniform(-45, 90), rng.uniform(25, 130)))
        points = curve(np.array((start, (start + end) / 2 + rng.normal(0, 8, 3), end)), 25)
        part = air.crop(points.min(0) - 5, points.max(0) + 5)
        vessel = tube(part, points, np.linspace(3.5, 1, len(points)))
        part.paint(np.maximum(vessel, part.free + 2), 0.6 * patient.hu["heart"])


def _add_back_muscles(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add erector spinae, quadratus lumborum and psoas on both sides."""
    streaks = np.clip(body.field(rng, 6) - 0.7, 0, 2) * np.float32(-45)
    hu = patient.hu["muscle"] + streaks
    bulk = float(rng.normal(1, 0.08))
    for side in (-1, 1):
        x = body.x * side
        chest = np.clip((body.z - 10) / 60, 0, 1)
        erector = _column(x - 33 + 5 * chest, body.y + 53 + 4 * chest, 31 - 5 * chest, 20 - 5 * chest)
        quadratus = smooth_max(_column(x - 66, body.y + 36, 20, 8), body.z - 2, 16)
        for muscle in (erector, quadratus):
            body.paint(muscle, hu)
            body.occupy(muscle)
        points = np.array([(17, -2, 25), (24, -4, -10), (33, -4, -50), (43, 0, -100), (56, 8, -150), (62, 16, -200)])
        psoas = tube(body, points * (side, 1, 1), np.array([5, 10, 15, 20, 22, 22]) * bulk)
        body.paint(psoas, hu)
        body.occupy(psoas)


def _column(x: np.ndarray, y: np.ndarray, half_width: np.ndarray | float, half_depth: np.ndarray | float) -> np.ndarray:
    """Approximate distance to an upright column with an elliptic cross-section."""
    return (np.sqrt((x / half_width) ** 2 + (y / half_depth) ** 2) - 1) * half_depth
