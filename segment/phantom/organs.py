"""Adrenals, spleen and pancreas."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import axes_along, curve, ellipsoid, plate, smooth_max, smooth_min, tube


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


def add_spleen(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a crescent along the left ribs at the back, concave towards stomach and kidney.

    Its form varies from round to long and thin, with a tip below the kidney. One in sixteen is enlarged, up to 1500 mL.
    """
    size = patient.organ["spleen"] * (1 + 0.006 * max(16 - patient.age, 0))
    enlarged = float(rng.uniform(1.25, 1.9)) if rng.random() < 0.06 else 1.0
    thin = float(rng.normal(0, 0.16))  # length grows by this share, thickness shrinks
    center = np.array((-96, -16, 46)) + rng.normal(0, (3, 6, 8)) + np.array((14, 26, -48)) * (enlarged - 1)
    length = np.array((-0.25, 0.55, -0.8)) + rng.normal(0, 0.2, 3)  # along the tenth rib
    turn = axes_along(length, np.array((0.85, 0.5, 0.1)) + rng.normal(0, 0.1, 3))[[1, 0, 2]]  # inward, across, along
    radii = np.array((38.5, 46, 63)) * size * enlarged * np.exp(np.array((-0.8, -0.2, 1)) * thin)
    hollow, surface, pattern, extra = rng.spawn(4)
    if "spleen" not in patient.absent:
        part = body.crop(center - radii.max() - 10, center + radii.max() + 10)
        shape = ellipsoid(part, center, radii, turn)
        middle = center + turn[0] * (radii[0] + hollow.normal(14, 5))
        shape = smooth_max(shape, -ellipsoid(part, middle, np.array((34, 44, 62)) * size * enlarged, turn), 8)
        # A large spleen does not grow around the kidney from behind.
        medial = part.x + 54 - np.maximum(part.y - 5, 0) - 0.5 * np.maximum(part.z - 25, 0)
        shape = smooth_max(shape, 0.7 * medial, 24)
        shape = _notch_spleen(part, shape, (center, radii, turn), surface) + 2 * part.field(surface, 26)
        spleen = part.claim(shape, 0.4 + 0.45 * patient.gap_mm)
        part.paint(spleen, "spleen", _pulp(part, patient.phase, pattern), organ="spleen")
    _add_accessory_spleens(body, center + turn[0] * radii[0] * 0.9, extra)


def _notch_spleen(
    part: Region, shape: np.ndarray, frame: tuple[np.ndarray, np.ndarray, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Cut up to three clefts into the surface that lies on the ribs or into the edge; they are up to 30 mm deep."""
    center, radii, turn = frame
    for _ in range(int(rng.choice((0, 1, 2, 3), p=(0.6, 0.2, 0.12, 0.08)))):
        along, angle = rng.uniform(-0.65, 0.65), rng.uniform(0.5, 1.5) * np.pi
        radial = np.cos(angle) * turn[0] + np.sin(angle) * turn[1]
        edge = center + turn[2] * radii[2] * along + radial * radii[1] * 0.9
        cleft = plate(part, edge, turn[2] + rng.normal(0, 0.25, 3), radial, (rng.uniform(1.5, 4), 22, 26))
        shape = smooth_max(shape, -cleft, 4)
    return shape


def _pulp(part: Region, phase: str, rng: np.random.Generator) -> np.ndarray:
    """HU of the pattern in the spleen: red and white pulp fill at different speeds, which gives arterial bands."""
    strength, wave_mm = float(rng.uniform(0, 45)) if phase == "arterial" else 2.0, float(rng.uniform(14, 24))
    direction = rng.normal(0, 1, 3)
    x, y, z = np.float32(2 * np.pi / wave_mm / np.linalg.norm(direction)) * direction.astype(np.float32)
    bands = np.sin(part.x * x + part.y * y + part.z * z + np.float32(2.2) * part.field(rng, 22))
    return np.asarray(np.float32(strength) * (0.7 * bands + 0.5 * part.field(rng, 11)))


def _add_accessory_spleens(body: Region, hilum: np.ndarray, rng: np.random.Generator) -> None:
    """Add balls of spleen near the hilum, 8 to 15 mm wide and without label.

    16 % of the patients have one or two, as on contrast-enhanced CT (Mortelé et al. 2004, AJR 183:1653).
    """
    number = int(rng.choice((0, 1, 2), p=(0.84, 0.12, 0.04)))
    for _ in range(number):
        center, radius = hilum + rng.normal(0, (8, 14, 20)), rng.uniform(4, 7.5)
        part = body.crop(center - 10, center + 10)
        part.paint(part.claim(ellipsoid(part, center, (radius, radius, radius)), 1), "spleen")


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
