"""Shoulders, arms and thighs: their positions, and their surfaces without fat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, ellipsoid, smooth_min, tube

# Middle of shoulder, elbow, wrist and hand of the right arm by position, in mm. Arms that are outside the field of
# view are raised.
_ARM = {
    "down": [(174, -12, 262), (206, -22, 20), (200, 18, -205), (190, 24, -300)],
    "belly": [(174, -12, 262), (212, -6, 30), (70, 148, -30), (-10, 150, -10)],
    "up": [(148, -8, 300), (168, 12, 420), (110, 30, 640), (60, 30, 740)],
}
ARM_RADII = np.array((44.0, 36, 24, 20))  # radii at these points, without fat
_THIGH = np.array([(86.0, -4, -275), (88, 4, -360), (90, 8, -460)])  # the right one
_THIGH_RADII = np.array((76.0, 72, 66))
_ONE_ARM_DOWN = 0.04  # share of patients who can raise only one arm


@dataclass(frozen=True)
class Arm:
    """An arm.

    Attributes:
        side: 1 right, -1 left.
        raised: Whether it lies above the head.
        path: (4,3) middle of shoulder, elbow, wrist and hand in mm.
    """

    side: int
    raised: bool
    path: np.ndarray


def sample_arms(patient: SyntheticPatient, rng: np.random.Generator) -> tuple[Arm, Arm]:
    """Sample the positions of the right and of the left arm."""
    position = patient.arms if patient.arms in _ARM else "up"
    lowered = rng.choice((-1, 1)) if rng.random() < _ONE_ARM_DOWN else 0
    arms = []
    for side in (1, -1):
        shift = rng.normal(0, 1, (4, 3)) * np.array([(3, 4, 4), (8, 12, 10), (14, 14, 14), (16, 16, 14)])
        name = "down" if side == lowered and position == "up" else position
        path = np.array(_ARM[name], dtype=float) + shift
        if name != "up":
            path[1:, 0] += 0.9 * patient.subcutaneous_mm  # the arms lie beside the fat of the trunk
            path[2:, 1] += 0.9 * patient.subcutaneous_mm * (name == "belly")
        arms.append(Arm(side, name == "up", path * (side, 1, 1)))
    return arms[0], arms[1]


def limb_surface(body: Region, arms: Sequence[Arm], fat_mm: float) -> np.ndarray:
    """Distance (I,J,K) in mm to the muscles of shoulders, arms and thighs, negative inside.

    Args:
        body: The body.
        arms: Both arms.
        fat_mm: Largest distance from the muscles to the skin, up to which the result has to be right.
    """
    limbs = np.full_like(body.x, FAR_MM)
    scratch = replace(body, free=limbs)
    for arm in arms:
        thigh = _THIGH * (arm.side, 1, 1)
        for path, radii in ((thigh, _THIGH_RADII), (arm.path, ARM_RADII)):
            reach = radii.max() + fat_mm
            part = scratch.crop(path.min(0) - reach, path.max(0) + reach)
            np.minimum(part.free, tube(part, path, radii + fat_mm) + np.float32(fat_mm), out=part.free)
        side = arm.side
        low, high = sorted((side * 10.0, side * (230.0 + fat_mm)))
        part = scratch.crop((low, -130 - fat_mm, 130 - fat_mm), (high, 70 + fat_mm, 330 + fat_mm))
        middle = (side * 150, -14, 284 if arm.raised else 264)
        shoulder = smooth_min(ellipsoid(part, middle, (46, 48, 40)), _shoulder_blade(part, arm), 20)
        part.free[:] = smooth_min(part.free, shoulder, 20)
    return limbs


def _shoulder_blade(part: Region, arm: Arm) -> np.ndarray:
    """Distance to the bulge of the shoulder blade and its muscles, which moves to the side when the arm is raised."""
    if arm.raised:
        return ellipsoid(part, (arm.side * 122, -46, 236), (36, 32, 82))
    return ellipsoid(part, (arm.side * 104, -54, 226), (46, 28, 74))
