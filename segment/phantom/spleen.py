"""The spleen, with its forms, lobes and clefts, and accessory spleens."""

from dataclasses import replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, plate, smooth_max, smooth_min

# The left dome of the diaphragm is close to a sphere; below its centre the wall is close to a cylinder. Anatomical mm.
_DOME_CENTER, _DOME_RADIUS = (-55.0, 20.0, 28.0), 70.0

# Half axes of an average spleen: thickness, across the tenth rib, along it.
_SPLEEN_MM = (24.0, 46.0, 66.0)


def add_spleen(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a bent bean below the left dome of the diaphragm, concave towards stomach and kidney.

    It lies along the tenth rib: its front end is low and at the side, its back end high and often beside the spine. Its
    form varies from round to long and thin. One in three (a guess) has a lobe towards the pancreas; Dodds et al. 1990,
    AJR 155:805, show such lobes. One in sixteen is enlarged, up to 1500 mL.
    """
    enlarged = float(rng.uniform(1.25, 1.9)) if rng.random() < 0.06 else 1.0
    size = patient.organ["spleen"] * (1 + 0.006 * max(16 - patient.age, 0)) * enlarged
    thin = float(rng.normal(0, 0.14))  # length grows by this share, thickness shrinks
    radii = np.array(_SPLEEN_MM) * size * np.exp(np.array((-1.0, 0.25, 0.75)) * thin)
    center = np.array(_DOME_CENTER) + rng.normal(0, (3, 4, 6))
    middle = np.deg2rad(rng.normal(44, 13))  # from the side (0) to the back (90 degrees)
    height = rng.normal(14, 8) - 48 * (enlarged - 1)
    slope = np.deg2rad(rng.normal(30, 12))  # of the rib
    pole = rng.normal(14, 7)  # height in mm above which the spleen may lie medially of the kidney
    lobe, surface, pattern, extra = rng.spawn(4)
    depth = _DOME_RADIUS - 0.8 * radii[0]  # of the middle of the bean; a fifth of its thickness would be in the wall
    outward = np.array((-np.cos(middle), -np.sin(middle), 0))
    hilum = center + outward * (depth - radii[0]) + (0, 0, height)
    if "spleen" not in patient.absent:
        part = body.crop(hilum - radii.max() * 1.2 - 10, hilum + radii.max() * 1.2 + 10)
        shell = _along_the_dome(part, center, depth, middle, height, slope)
        shape = ellipsoid(shell, (depth, 0, 0), radii)
        if lobe.random() < 0.33:
            lump = hilum + lobe.normal(0, (6, 6, 14))
            shape = smooth_min(shape, ellipsoid(part, lump, lobe.uniform(13, 24, 3) * size), 14)
        medial = part.x + 70 - np.maximum(part.y - 5, 0) - 1.6 * np.maximum(part.z - pole, 0)
        shape = smooth_max(shape, 0.6 * medial, 16)
        back = np.array((np.sin(middle), -np.cos(middle), 0))
        along = np.cos(slope) * back + np.sin(slope) * np.array((0, 0, 1))
        frame = (hilum + outward * radii[0], radii, np.stack([-outward, np.cross(along, -outward), along]))
        shape = _notch_spleen(part, shape, frame, surface) + 2 * part.field(surface, 26)
        spleen = part.claim(shape, 0.4 + 0.45 * patient.gap_mm, whole=True)
        part.paint(spleen, "spleen", _pulp(part, patient.phase, pattern), organ="spleen")
    _add_accessory_spleens(body, hilum, extra)


def _along_the_dome(
    part: Region, center: np.ndarray, depth_mm: float, middle: float, height_mm: float, slope: float
) -> Region:
    """The region with coordinates that follow the left diaphragm: x is the distance from the centre of the dome.

    y and z run in the sheet at distance `depth_mm`, across the ribs and along them towards the spine; they are 0 at the
    angle `middle` (radians, 0 at the patient's left side, growing to the back) and at `height_mm` above the centre.
    """
    side, back, up = (np.float32(c) - v for c, v in zip(center, (part.x, part.y, part.z), strict=True))
    up = -up
    flat = np.hypot(side, back)
    distance = np.hypot(flat, np.maximum(up, 0))
    around = np.float32(depth_mm) * _wrap(np.arctan2(back, side) - np.float32(middle))
    rise = np.where(up > 0, np.float32(depth_mm) * np.arctan2(up, flat), up) - np.float32(height_mm)
    cos, sin = np.float32(np.cos(slope)), np.float32(np.sin(slope))
    return replace(part, x=distance, y=cos * rise - sin * around, z=cos * around + sin * rise)


def _wrap(angle: np.ndarray) -> np.ndarray:
    """The same angle between -pi and pi."""
    return np.asarray((angle + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi))


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
