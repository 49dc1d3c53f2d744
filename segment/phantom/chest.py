"""Chest and neck: lungs, airways, heart, great vessels of the chest, oesophagus, thyroid, breasts."""

from dataclasses import replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, ellipsoid, smooth_max, smooth_min, tube
from segment.phantom.trunk import Trunk


def add_chest(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add everything inside the rib cage above the diaphragm."""
    _add_lungs(body, trunk, rng)
    _add_heart(body)


def _add_lungs(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    inside, dome = trunk.cavity + 1, trunk.dome
    body.paint(np.maximum(np.maximum(inside, dome - 3), -dome), "muscle")
    mediastinum = smooth_min(np.abs(body.x + 2) - 17, ellipsoid(body, (-18, 52, 118), (58, 42, 62)), 12)
    mediastinum = np.maximum(mediastinum, -52 - body.y)
    lung = smooth_max(smooth_max(inside, 3 - dome, 5), 2 - mediastinum, 6)
    body.paint(lung, "lung", 25 * body.field(rng, 9) - 0.35 * (body.height - 20))
    air = replace(body, free=lung)
    for _ in range(36):
        side = rng.choice((-1, 1))
        start = np.array((side * 30 - 5, rng.uniform(-10, 50), rng.uniform(90, 150)))
        end = np.array((side * rng.uniform(50, 110), rng.uniform(-45, 90), rng.uniform(25, 130)))
        points = curve(np.array((start, (start + end) / 2 + rng.normal(0, 8, 3), end)), 25)
        part = air.crop(points.min(0) - 5, points.max(0) + 5)
        vessel = tube(part, points, np.linspace(3.5, 1, len(points)))
        part.paint(np.maximum(vessel, part.free + 2), "lung_vessel")


def _add_heart(body: Region) -> None:
    part = body.crop((-90, -10, 60), (60, 115, 190))
    part.paint(ellipsoid(part, (-20, 54, 132), (50, 34, 40)), "myocardium")
    for center, tissue in (((-34, 58, 134), "left_heart"), ((6, 54, 134), "right_heart")):
        part.paint(ellipsoid(part, center, (20, 22, 26)), tissue)
    oesophagus = tube(part, np.array([(-8, 24, 190), (-10, 32, 90), (-24, 40, 78)]), np.array([7, 7, 6]))
    part.paint(oesophagus, "oesophagus")
