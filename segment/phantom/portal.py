"""The portal veins, varices in portal hypertension, and the small vessels of the mesentery."""

import numpy as np

from segment.phantom.region import Region
from segment.phantom.shapes import curve, tube
from segment.phantom.vessels import Path, add_branches

_PORTAL_VEINS: list[tuple[Path, tuple[float, float]]] = [
    ([(20, 60, -125), (12, 54, -80), (12, 53, -40), (12, 50, 2)], (3.2, 5.6)),  # superior mesenteric
    ([(12, 50, 2), (19, 47, 14), (26, 46, 24)], (6.4, 6.2)),  # portal
    ([(12, 48, 2), (-20, 36, 10), (-50, 16, 24), (-76, 2, 36)], (4.6, 3.6)),  # splenic
    ([(-8, 44, 4), (-26, 40, -40), (-34, 30, -100), (-30, 18, -150)], (2.0, 1.5)),  # inferior mesenteric
]
_VARICES: list[Path] = [
    [(-78, 4, 36), (-66, 24, 44), (-58, 14, 58), (-44, 30, 66), (-24, 32, 78), (-10, 30, 96)],  # stomach, oesophagus
    [(-70, -2, 28), (-62, 6, 8), (-54, 12, -6), (-44, 10, -14)],  # from the spleen to the renal vein
    [(-36, 74, 60), (-10, 92, 34), (2, 102, 0), (4, 106, -60)],  # the umbilical vein, open again
]


def add_portal_veins(body: Region, hypertension: bool, rng: np.random.Generator) -> None:
    """Add the veins from bowel and spleen to the liver; they are wide if their pressure is high."""
    part = body.crop((-90, -20, -165), (45, 85, 55))
    add_branches(part, _PORTAL_VEINS, "portal_vein", float(rng.normal(1.35 if hypertension else 0.98, 0.13)), rng)
    if hypertension:
        _add_varices(body, rng)


def _add_varices(body: Region, rng: np.random.Generator) -> None:
    """Add varices, the winding veins through which portal blood bypasses a cirrhotic liver."""
    for route in _VARICES:
        path = curve(np.array(route, dtype=float), 12)
        path[1:-1] += rng.normal(0, 4.5, (len(path) - 2, 3))
        path, radius = curve(path, 5), float(rng.uniform(1.5, 4.5))
        shown = rng.random() < 0.6
        if shown:
            box = body.crop(path.min(0) - 8, path.max(0) + 8)
            box.paint(box.claim(tube(box, path, np.full(len(path), radius)), 0), "portal_vein")


def add_mesentery(body: Region, rng: np.random.Generator) -> None:
    """Add small vessels that fan out from the root of the mesentery into the fat between the loops, and lymph nodes."""
    for n in range(34):
        root = np.array((4, 56, rng.uniform(-95, -20)))
        end = np.array((rng.uniform(-95, 95), rng.uniform(45, 92), rng.uniform(-170, -25)))
        path = curve(np.array((root, (root + end) / 2 + rng.normal(0, 8, 3), end)), 25)
        part = body.crop(path.min(0) - 5, path.max(0) + 5)
        vessel = np.maximum(tube(part, path, np.linspace(2.4, 1.1, len(path))), 1 - part.free)
        part.paint(vessel, "portal_vein" if n % 3 else "aorta")
