"""The trunk: skin, fat, muscle wall, rib cage, diaphragm, back muscles, and the abdominal cavity for the organs."""

from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.breasts import Breast, breast_surface, sample_breasts
from segment.phantom.breath import breathe
from segment.phantom.limbs import ARM_RADII, Arm, limb_surface, sample_arms
from segment.phantom.patient import UP, SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, smooth_max, smooth_min, tube

# Cross-sections by height z, in mm; L1 is at z = 0. Each row is z, half width, half depth and middle (y).
# Surface of the trunk's muscles, from the thighs (which `limbs` adds) to the neck.
_LEAN = np.array(
    [
        (-330, 150, 78, -10),
        (-280, 158, 92, -10),
        (-245, 160, 98, -4),
        (-210, 153, 96, 4),
        (-170, 142, 91, 11),
        (-110, 130, 86, 14),
        (-50, 128, 87, 15),
        (20, 136, 93, 19),
        (130, 138, 100, 23),
        (180, 143, 98, 19),
        (220, 147, 92, 11),
        (255, 146, 83, 0),
        (285, 132, 68, -12),
        (305, 100, 60, -14),
        (325, 70, 57, -8),
        (350, 58, 57, 0),
        (420, 57, 60, 8),
    ]
)
# Outer surface of the ribs above the abdomen, where it lies deeper than the surface of the muscles.
_CAGE = np.array(
    [
        (130, 138, 100, 23),
        (180, 133, 92, 15),
        (220, 123, 80, 4),
        (255, 104, 64, -8),
        (285, 78, 47, -22),
        (310, 50, 32, -30),
        (335, 15, 10, -32),
    ]
)
# Surface of the cavity in the pelvis, inside the hip bones and their muscles.
_BASIN = np.array(
    [
        (-315, 20, 20, -10),
        (-285, 44, 48, -8),
        (-250, 54, 64, -2),
        (-215, 64, 72, 6),
        (-185, 82, 78, 16),
        (-150, 108, 84, 20),
        (-110, 124, 84, 16),
    ]
)

# Up to this thickness in mm, the fat of a lowered arm is as thick as on the trunk; of the rest, it has only this share.
_ARM_FAT_MM, _ARM_SHARE = 13.0, 0.25

# Exponent n of the trunk's cross-section, a superellipse |x/a|^n + |y/b|^n = 1.
_SQUARENESS = 2.5


@dataclass(frozen=True)
class Trunk:
    """Distances (I,J,K) in mm, negative inside, that define the positions of bones and muscles.

    Attributes:
        skin: Distance to the skin, arms and legs included.
        lean: Distance to the outer surface of the muscles, arms and legs included.
        cage: Distance to the outer surface of the rib cage, and below it to the surface of the trunk's muscles.
        cavity: Distance to the inner surface of the wall, in chest, abdomen and pelvis.
        dome: Distance to the diaphragm, negative in the abdomen.
        frontal: Direction from the middle of the trunk: 1 front, 0 side, -1 back.
        arms: Positions of the right and the left arm.
        breasts: Positions and sizes of the breasts.
    """

    skin: np.ndarray
    lean: np.ndarray
    cage: np.ndarray
    cavity: np.ndarray
    dome: np.ndarray
    frontal: np.ndarray
    arms: tuple[Arm, Arm]
    breasts: tuple[Breast, ...]


def add_trunk(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> Trunk:
    """Add skin, fat and muscles, and claim everything except the abdominal cavity."""
    trunk = _measure(body, patient, rng)
    body.paint(trunk.skin, "skin")
    body.paint(trunk.skin + 2.2, "fat", 6 * body.field(rng, 10))
    _add_wall(body, trunk, patient, rng)
    body.paint(trunk.cavity, "visceral_fat", 5 * body.field(rng, 14))
    np.minimum(-trunk.cavity, -trunk.dome, out=body.free)
    _add_back_muscles(body, rng)
    return trunk


def _measure(body: Region, patient: SyntheticPatient, rng: np.random.Generator) -> Trunk:
    column, frontal = _section(body, _LEAN)
    column = smooth_max(column, -315 - body.z, 30)
    arms, breasts = sample_arms(patient, rng), sample_breasts(patient, rng)
    lean = smooth_min(column, limb_surface(body, arms, 1.3 * patient.subcutaneous_mm + 12), 18)
    table = back_mm(patient) - body.height  # the table flattens the parts that lie on it
    lean = smooth_max(lean, table + 5, 30)
    cage, _ = _section(body, _CAGE)
    cage = np.where(body.z > _CAGE[0, 0], np.maximum(cage, column + 2), column)
    cage = smooth_max(cage, table + 7, 20)
    sideways = 1 - frontal * frontal
    thickness = 9 + 5 * sideways + np.float32(4) * np.clip((body.z + 20) / 60, 0, 1)
    thickness = thickness - (2 + 4 * sideways) * np.clip((body.z - 70) / 60, 0, 1)
    basin, _ = _section(body, _BASIN)
    basin = np.where(body.z < _BASIN[-1, 0], smooth_max(basin, -290 - body.z, 20), -50)
    cavity = smooth_max(cage + thickness, basin, 12)
    lower = np.clip((110 - body.z) / 160, 0.4, 1)
    fat = patient.subcutaneous_mm * lower * (0.85 + 0.3 * frontal + 0.25 * sideways)
    fat = fat * (1 + 0.12 * body.field(rng, 60)) + 3
    fat = _thin_arm_fat(body, arms, column, fat)
    skin = smooth_min(lean - fat, breast_surface(body, breasts), 16)
    skin = smooth_max(skin, table, 40)
    return Trunk(skin, lean, cage, cavity, _diaphragm(breathe(body, patient), rng), frontal, arms, breasts)


def _thin_arm_fat(body: Region, arms: tuple[Arm, Arm], column: np.ndarray, fat: np.ndarray) -> np.ndarray:
    """Limit the fat (mm) of lowered arms: obesity thickens the arms less than the trunk.

    Where the trunk is as near as the arm, the limit ends smoothly.
    """
    most = np.float32(fat.max())
    if most <= _ARM_FAT_MM:
        return fat
    reach = ARM_RADII.max() + most
    lowered = replace(body, free=fat, hu=column)
    for arm in arms:
        if arm.raised:
            continue
        low, high = arm.path.min(0) - reach, arm.path.max(0) + reach
        part = lowered.crop(low, (*high[:2], 200))  # the shoulder above is wide in the obese
        near = tube(part, arm.path, ARM_RADII + most) + most  # exact up to the skin
        nearer = np.clip((part.hu - near) / 40 + np.float32(0.5), 0, 1)
        nearer *= np.clip((200 - part.z) / 60, 0, 1)
        excess = np.maximum(part.free - np.float32(_ARM_FAT_MM), 0)
        part.free[:] -= np.float32(1 - _ARM_SHARE) * nearer * excess
    return fat


def _section(body: Region, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance to a column whose cross-sections are in a table, and `Trunk.frontal` around its middle."""
    at = body.axes[2]
    width, depth, middle = (np.interp(at, table[:, 0], values).astype(np.float32) for values in table[:, 1:].T)
    y = body.y - middle
    level = (np.abs(body.x / width) ** _SQUARENESS + np.abs(y / depth) ** _SQUARENESS) ** (1 / _SQUARENESS)
    radius = np.hypot(body.x, y)
    return radius - radius / np.maximum(level, np.float32(1e-3)), y / np.maximum(radius, 1)


def back_mm(patient: SyntheticPatient) -> float:
    """Coordinate along `Region.up` of the plane on which the patient lies."""
    _, front = UP[patient.position]
    if front > 0:
        return -76 - 0.55 * patient.subcutaneous_mm
    if front < 0:
        return -118 - 0.45 * patient.subcutaneous_mm
    return -136 - 0.5 * patient.subcutaneous_mm


def _add_wall(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    streaks = np.clip(body.field(rng, 7) - 0.9, 0, 2) * np.float32(-25 - 25 * patient.visceral)
    body.paint(trunk.lean, "muscle", streaks)
    side = np.abs(body.x)
    # Fat at the linea alba and the lateral edges of the rectus muscles, and between the layers of the lateral muscles.
    front = np.maximum(25 - body.y, trunk.lean)
    seams = np.maximum(np.minimum(side - 2, np.abs(side - 66) - 1.5), front)
    layers = np.maximum(np.minimum(np.abs(trunk.lean + 4.5), np.abs(trunk.lean + 9)) - 0.6, 75 - side)
    abdomen = np.maximum(body.z - 10, -170 - body.z)
    for gap in (seams, layers):
        body.paint(np.maximum(gap, abdomen), "fat")


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


def _add_back_muscles(body: Region, rng: np.random.Generator) -> None:
    """Add erector spinae, quadratus lumborum and psoas on both sides."""
    streaks = np.clip(body.field(rng, 6) - 0.7, 0, 2) * np.float32(-45)
    bulk = float(rng.normal(1, 0.08))
    for side in (-1, 1):
        x = body.x * side
        chest = np.clip((body.z - 10) / 60, 0, 1.6)
        erector = _column(x - 33 + 5 * chest, body.y + 53 + 4 * chest, 31 - 5 * chest, 20 - 5 * chest)
        erector = smooth_max(erector, -215 - body.z, 20)
        quadratus = smooth_max(smooth_max(_column(x - 66, body.y + 36, 20, 8), body.z - 2, 16), -120 - body.z, 16)
        for muscle in (erector, quadratus):
            body.paint(muscle, "muscle", streaks)
            body.occupy(muscle)
        points = np.array([(17, -2, 25), (24, -4, -10), (33, -4, -50), (43, 0, -100), (56, 8, -150), (66, 22, -205)])
        points = np.concatenate([points, [(78, 34, -245), (84, 6, -290)]])  # with iliacus, in front of the hip
        radii = np.array([5, 10, 15, 20, 22, 23, 19, 12]) * bulk
        psoas = tube(body, points * (side, 1, 1), radii)
        body.paint(psoas, "muscle", streaks)
        body.occupy(psoas)


def _column(x: np.ndarray, y: np.ndarray, half_width: np.ndarray | float, half_depth: np.ndarray | float) -> np.ndarray:
    """Approximate distance to an upright column with an elliptic cross-section."""
    return (np.sqrt((x / half_width) ** 2 + (y / half_depth) ** 2) - 1) * half_depth
