"""Adrenals and pancreas."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import curve, plate, smooth_min, tube


def add_adrenals(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add both adrenals above the kidneys: a ridge in front and two limbs behind, an inverted Y.

    Limbs are 4.1 to 4.9 ± 1.1 mm thick (John et al. 2018, doi:10.4103/ijri.IJRI_129_18); the gland is 20 to 40 mm high.
    """
    for side, middle in ((1, (27, 6, 18)), (-1, (-31, 12, 8))):
        center = np.array(middle) + rng.normal(0, (2, 2, 7))
        thick, limbs = rng.uniform(1.9, 3.2), rng.normal(1, 0.15, 3)
        part = body.crop(center - 32, center + 32)
        gland = plate(part, center + np.array((0, 5, 2)), (1, 0, 0), (0, 1, 0.2), (thick, 7 * limbs[0], 15))
        for out, length in ((0.75, limbs[1]), (-0.25, limbs[2])):
            back = np.array((side * out, -1, -0.3))
            limb = plate(part, center + 9 * length * back, (1, side * out, 0), back, (thick, 13 * length, 14))
            gland = smooth_min(gland, limb, 3)
        part.paint(part.claim(gland, 0.5 + 0.3 * patient.gap_mm), "adrenal")


def add_pancreas(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add head, neck, body and tail across the spine. With age and weight, fat separates shrinking lobules."""
    points = np.array(
        [(40, 40, -36), (37, 44, -16), (22, 54, -4), (0, 60, 4), (-26, 52, 12), (-52, 30, 22), (-70, 12, 30)]
    )
    tail = rng.normal(0, 12)  # the tail lies higher or lower
    points = points + rng.normal(0, 2.5, points.shape) + np.linspace(-1, 1, 7)[:, None].clip(0) * (0, 0, tail)
    points = curve(points, 8)
    fatty = float(np.clip(rng.normal(0.012 * (patient.age - 40) + 0.4 * patient.visceral, 0.25), 0, 1))
    radii = np.interp(np.linspace(0, 1, len(points)), (0, 0.2, 0.4, 0.8, 1), (14.5, 18.5, 12.5, 13, 11))
    part = body.crop((-90, -12, -65), (62, 78, 58))
    gland = tube(part, points, radii * (1 - 0.3 * fatty) * rng.normal(1, 0.1))
    gland = part.claim(gland + (1.3 + 2 * fatty) * part.field(rng, 8), 0.3 + 0.4 * patient.gap_mm, whole=True)
    part.paint(gland, "pancreas", 8 * part.field(rng, 6) - 30 * fatty * np.abs(part.field(rng, 5)), organ="pancreas")
