"""Shoulders, arms and thighs: their surfaces without fat. Bones are added by the skeleton."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, smooth_min, tube

# Elbow and wrist by position of the arms, for the right arm, in mm.
_SHOULDER = np.array((152.0, -14, 282))
_ARM = {
    "down": [(178, -12, 262), (206, -22, 20), (200, 18, -205)],
    "belly": [(178, -12, 262), (212, -6, 30), (70, 148, -30)],
    "up": [(148, -8, 300), (168, 12, 420), (110, 30, 640)],
}
_ARM_RADII = np.array((44.0, 36, 24))  # at shoulder, elbow and wrist, without fat
_THIGH_RADII = np.array((76.0, 72, 66))


def arm_path(patient: SyntheticPatient, side: int) -> np.ndarray:
    """Points (3,3): shoulder, elbow and wrist of the right (side 1) or left (-1) arm, in mm. Arms must not be absent."""
    path = np.array(_ARM[patient.arms], dtype=float)
    if patient.arms != "up":
        path[1:, 0] += 0.9 * patient.subcutaneous_mm  # the arms lie beside the fat of the trunk
        path[-1, 1] += 0.9 * patient.subcutaneous_mm * (patient.arms == "belly")
    return path * (side, 1, 1)


def limb_surface(body: Region, patient: SyntheticPatient) -> np.ndarray:
    """Distance (I,J,K) in mm to the muscles of shoulders, arms and thighs, negative inside."""
    limbs = np.full_like(body.x, 1e3)
    for side in (-1, 1):
        thigh = tube(body, np.array([(side * 86, -4, -275), (side * 88, 4, -360), (side * 90, 8, -460)]), _THIGH_RADII)
        limbs = np.minimum(limbs, thigh)
        limbs = smooth_min(limbs, ellipsoid(body, _SHOULDER * (side, 1, 1), (48, 50, 42)), 20)
        if patient.arms != "absent":
            limbs = np.minimum(limbs, tube(body, arm_path(patient, side), _ARM_RADII))
    return limbs
