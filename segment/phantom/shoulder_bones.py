"""Bones of shoulders and arms: shoulder blades, collar bones, humerus, radius and ulna."""

import numpy as np

from segment.phantom.bone import add_bone
from segment.phantom.limbs import Arm
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, smooth_min, tube
from segment.phantom.subset import cut

# Landmarks of the right side for a lowered (False) and a raised arm (True), in mm: corners of the shoulder blade
# (lower, upper, socket), its spine to the acromion, the coracoid process, the collar bone, and the humeral head.
_BLADE = {
    False: [(98, -66, 164), (74, -62, 288), (142, -26, 266)],
    True: [(132, -50, 172), (82, -62, 290), (130, -24, 288)],
}
_RIDGE = {
    False: [(80, -68, 256), (112, -66, 276), (142, -50, 294), (162, -20, 298)],
    True: [(92, -68, 262), (112, -64, 286), (136, -48, 310), (150, -18, 318)],
}
_CORACOID = {
    False: [(134, -14, 276), (130, 8, 282), (136, 22, 268)],
    True: [(124, -14, 292), (118, 8, 300), (122, 22, 292)],
}
_CLAVICLE = {
    False: [(22, 22, 281), (60, 26, 288), (105, 2, 298), (152, -12, 300)],
    True: [(22, 22, 281), (56, 26, 292), (98, 2, 308), (140, -12, 320)],
}
_HEAD = {False: (164.0, -14.0, 268.0), True: (150.0, -12.0, 292.0)}


def add_shoulder_bones(
    body: Region, arms: tuple[Arm, Arm], patient: SyntheticPatient, marrow: np.ndarray, rng: np.random.Generator
) -> None:
    """Add and claim the bones of both shoulders and arms."""
    for arm in arms:
        shift = rng.normal(0, 2, 3)
        low, high = sorted((arm.side * 10, arm.side * 330))
        part = body.crop((low, -120, 130), (high, 120, 480))
        if part.x.size:
            _add_shoulder_blade(part, arm, shift)
        _add_arm(body, arm, marrow, 22 if patient.female else 25)


def _add_shoulder_blade(part: Region, arm: Arm, shift: np.ndarray) -> None:
    mirror = np.array((arm.side, 1, 1))

    def path(rows: dict[bool, list[tuple[int, int, int]]]) -> np.ndarray:
        return np.asarray((np.array(rows[arm.raised], dtype=float) + shift) * mirror)

    low, high, socket = path(_BLADE)
    blade = smooth_min(_triangle(part, low, high, socket), tube(part, np.array([low, socket]), np.array((4.5, 8.0))), 4)
    blade = np.minimum(blade, tube(part, np.array([low, high]), np.array((3.5, 3.5))))
    blade = smooth_min(blade, tube(part, path(_RIDGE), np.array((3, 4.5, 6, 8))), 4)
    blade = smooth_min(blade, tube(part, path(_CORACOID), np.array((7, 6, 6))), 4)
    blade = np.minimum(blade, tube(part, path(_CLAVICLE), np.array((9, 6, 5.5, 7))))
    add_bone(part, blade, 0.0, 1.8)


def _triangle(part: Region, *points: np.ndarray) -> np.ndarray:
    """Distance to a flat triangle of 4 mm thickness between three corners in mm."""
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    normal /= np.linalg.norm(normal)
    distance = np.abs(_along(part, points[0], normal)) - np.float32(2)
    for start, end, third in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        outward = np.cross(points[end] - points[start], normal)
        outward /= np.linalg.norm(outward) * np.sign(outward @ (points[start] - points[third]))
        distance = np.maximum(distance, _along(part, points[start], outward))
    return np.asarray(distance)


def _along(part: Region, origin: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Position (I,J,K) in mm along a direction."""
    x, y, z = (
        (value - np.float32(start)) * np.float32(weight)
        for value, start, weight in zip((part.x, part.y, part.z), origin, direction, strict=True)
    )
    return np.asarray(x + y + z)


def _add_arm(body: Region, arm: Arm, marrow: np.ndarray, head_mm: float) -> None:
    head = np.array(_HEAD[arm.raised]) * (arm.side, 1, 1)
    elbow, wrist, hand = arm.path[1:]
    forearm = np.array([elbow, (elbow + wrist) / 2, wrist])
    apart = np.array((8, 5, 0))
    bones = {
        "humerus": (head + np.outer((0, 0.25, 0.9, 1), elbow - head), (head_mm - 8, 12, 11, 15)),
        "radius": (forearm + apart, (9, 7, 10)),
        "ulna": (forearm - apart, (10, 7, 6)),
        "middle finger": (np.array([wrist, hand]), (10, 4)),
        "little finger": (np.array([wrist, hand - np.array((0, 13, -10))]), (8, 3)),
        "index finger": (np.array([wrist, hand + np.array((0, 13, 8))]), (8, 4)),
    }
    for name, (points, radii) in bones.items():
        low, high = points.min(0) - 30, points.max(0) + 30
        part = body.crop(low, high)
        if not part.x.size:
            continue
        bone = tube(part, points, np.array(radii, dtype=float))
        if name == "humerus":
            bone = smooth_min(bone, ellipsoid(part, head, (head_mm,) * 3), 8)
        add_bone(part, bone, cut(body, marrow, low, high), 1.5 if "finger" in name else 2.5)
