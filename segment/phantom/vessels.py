"""Aorta, vena cava, the portal system and the small vessels of the mesentery."""

from collections.abc import Sequence

import numpy as np

from segment.phantom.region import Region
from segment.phantom.shapes import curve, tube

def add_great_vessels(body: Region, rng: np.random.Generator) -> None:
    """Add the aorta, the vena cava to the right of it, and their main branches."""
    low, high = body.axes[2][0], body.axes[2][-1]
    part = body.crop((-75, -25, low), (75, 80, high))
    shift = rng.normal(0, 2, 2)
    trunk = [(-14, 8, 190), (-11, 22, 90), (-7, 28, 30), (-6, 29, -30), (-5, 29, -95), (-2, 28, -112)]
    width = float(rng.normal(1, 0.1))
    aorta = _vessel(part, trunk, (12.5, 9), width, shift)
    for side in (-1, 1):
        leg = [(-2, 28, -112), (side * 18, 26, -135), (side * 42, 18, -175), (side * 50, 20, -230)]
        aorta = np.minimum(aorta, _vessel(part, leg, (6.5, 5), width, shift))
    flat = float(rng.uniform(0.75, 1.05))
    cava = [(22, 54, 125), (19, 40, 100), (17, 30, 70), (18, 24, 20), (17, 24, -40), (14, 24, -100), (8, 22, -116)]
    vein = _vessel(part, cava, (12.5, 10.5), flat, shift)
    for side in (-1, 1):
        leg = [(8, 22, -116), (side * 22, 16, -140), (side * 44, 8, -180), (side * 54, 8, -230)]
        vein = np.minimum(vein, _vessel(part, leg, (7, 6), width, shift))
    for vessel, name in ((aorta, "aorta"), (vein, "vena_cava")):
        part.occupy(vessel)
        part.paint(vessel, name, organ=name)
    _add_branches(part, rng)


def _vessel(
    part: Region, points: Sequence[Sequence[float]], ends: tuple[float, float], width: float, shift: np.ndarray
) -> np.ndarray:
    path = curve(np.array(points) + np.array((*shift, 0)), 14)
    return tube(part, path, np.linspace(*ends, len(path)) * width)


def _add_branches(part: Region, rng: np.random.Generator) -> None:
    branches = {
        "aorta": [
            ([(-6, 34, 14), (-4, 48, 12), (14, 52, 18)], 3.5),  # celiac and hepatic
            ([(-6, 34, 2), (-2, 50, -14), (0, 54, -50), (4, 56, -90)], 3.5),  # superior mesenteric
            ([(0, 28, -12), (26, 14, -18), (44, -2, -22)], 2.6),
            ([(-12, 28, -10), (-28, 12, -12), (-44, 0, -12)], 2.6),
        ],
        "portal_vein": [
            ([(12, 54, -80), (12, 53, -40), (12, 50, 2), (26, 46, 24)], 5.5),  # superior mesenteric, portal
            ([(12, 48, 2), (-20, 36, 10), (-50, 16, 24), (-76, 2, 36)], 3.8),  # splenic
        ],
        "vena_cava": [
            ([(18, 22, -18), (34, 8, -22), (48, -2, -24)], 4.0),
            ([(14, 30, -8), (-8, 41, -8), (-28, 20, -12), (-46, 2, -12)], 3.8),  # left renal, in front of the aorta
        ],
    }
    for name, vessels in branches.items():
        for points, radius in vessels:
            path = curve(np.array(points) + rng.normal(0, 1, (len(points), 3)), 10)
            vessel = part.claim(tube(part, path, np.full(len(path), radius)), 0)
            part.paint(vessel, name)


def add_mesentery(body: Region, rng: np.random.Generator) -> None:
    """Add small vessels that fan out from the root of the mesentery into the fat between the loops."""
    for _ in range(26):
        root = np.array((4, 56, rng.uniform(-80, -20)))
        end = np.array((rng.uniform(-95, 95), rng.uniform(45, 92), rng.uniform(-160, -25)))
        path = curve(np.array((root, (root + end) / 2 + rng.normal(0, 8, 3), end)), 25)
        part = body.crop(path.min(0) - 5, path.max(0) + 5)
        vessel = np.maximum(tube(part, path, np.linspace(2.4, 1.2, len(path))), 1 - part.free)
        part.paint(vessel, "portal_vein")
