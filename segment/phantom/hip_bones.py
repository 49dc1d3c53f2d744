"""Iliac wings, hip joints, pubis and ischium, and the upper halves of the femora."""

from dataclasses import replace
from functools import reduce

import numpy as np
from scipy.ndimage import map_coordinates

from segment.phantom.bone import add_bone
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, ellipsoid, smooth_min, tube
from segment.phantom.subset import cut

# The right iliac wing is a sheet: x in mm of its middle, by height (rows) and y (columns).
_WING_Z = (-235.0, -200.0, -170.0, -140.0, -105.0)
_WING_Y = (-75.0, -50.0, -30.0, 0.0, 30.0, 70.0)
_WING_X = np.array(
    [
        (50, 62, 74, 83, 92, 100),
        (46, 56, 68, 84, 99, 108),
        (42, 54, 68, 92, 112, 122),
        (42, 62, 86, 110, 122, 127),
        (60, 84, 102, 116, 124, 128),
    ],
    dtype=np.float32,
)
# Its outline from the side, as points y, z in mm: from the back along the crest to the front, and along the notches.
_OUTLINE = np.array(
    [
        *((-73, -176), (-64, -142), (-40, -117), (4, -104), (40, -118), (62, -143), (70, -166), (58, -184)),
        *((50, -202), (46, -222), (30, -238), (-22, -238), (-22, -214), (-36, -200), (-62, -200)),
    ],
    dtype=float,
)
HIP = np.array((88.0, 4.0, -245.0))  # middle of the right femoral head
_OPENING = np.array((0.78, 0.2, -0.59))  # direction in which the socket opens
_ELLIPSES = {  # middle and half axes of rounded parts of the right side
    "symphysis": ((10, 59, -266), (12, 9, 18)),
    "tuberosity": ((64, -38, -300), (12, 15, 20)),
    "greater trochanter": ((138, -10, -264), (13, 19, 19)),
    "lesser trochanter": ((98, -12, -306), (9, 9, 11)),
}
_BEAMS = {  # rows x, y, z and radius, in mm
    "upper ramus": [(80, 26, -240, 13), (52, 46, -244, 8), (24, 59, -254, 8), (10, 60, -260, 8)],
    "lower ramus": [(12, 54, -280, 7), (32, 20, -298, 6), (56, -22, -306, 8)],
    "ischium": [(80, -22, -240, 15), (72, -32, -268, 14), (64, -36, -296, 13)],
    "neck": [(88, 4, -245, 15), (112, -2, -262, 14), (128, -6, -276, 17)],
    "shaft": [(128, -6, -272, 17), (122, -2, -305, 15), (116, 2, -340, 14), (104, 6, -470, 14)],
}


def add_hip_bones(body: Region, patient: SyntheticPatient, marrow: np.ndarray, rng: np.random.Generator) -> None:
    """Add and claim the bones of pelvis and hips on both sides, and the disc between the pubic bones.

    Args:
        body: The body.
        patient: The hip joints of women are smaller and further apart.
        marrow: (I,J,K) deviation of the marrow's HU.
        rng: Random numbers.
    """
    wide = float(rng.normal(1.02 if patient.female else 0.99, 0.02))
    head = float(rng.normal(22.5 if patient.female else 25, 1.2))
    for side in (-1, 1):
        low, high = sorted((side * -4, side * 170))
        corners = (low, -95, -480), (high, 90, -90)
        part = body.crop(*corners)
        if part.x.size:
            _add_side(part, side, cut(body, marrow, *corners), wide, head)
    disc = body.crop((-8, 40, -295), (8, 75, -240))
    disc.paint(ellipsoid(disc, (0, 59, -266), (4.5, 8, 17)), "disc")


def _add_side(part: Region, side: int, marrow: np.ndarray, wide: float, head: float) -> None:
    mirror = np.array((side * wide, 1, 1))
    ellipses = {name: ellipsoid(part, mirror * middle, radii) for name, (middle, radii) in _ELLIPSES.items()}
    beams = {}
    for name, rows in _BEAMS.items():
        points, radii = np.array(rows, dtype=float)[:, :3], np.array(rows, dtype=float)[:, 3]
        beams[name] = tube(part, points * mirror, radii)
    joint = HIP * mirror
    ball = ellipsoid(part, joint, (head,) * 3)
    opening = _OPENING * (side, 1, 1)
    from_joint = (part.x - joint[0]) * opening[0] + (part.y - joint[1]) * opening[1] + (part.z - joint[2]) * opening[2]
    socket = np.maximum(np.maximum(ball - 13, from_joint.astype(np.float32) - 9), 2.5 - ball)
    parts = [_wing(part, side, wide), ellipses["symphysis"], ellipses["tuberosity"], socket]
    parts += [beams["upper ramus"], beams["lower ramus"], beams["ischium"]]
    hip = reduce(lambda one, other: smooth_min(one, other, 8), parts)
    hip = np.maximum(hip, 2.5 - ball)
    hip = np.maximum(hip, 3 - side * part.x)  # the disc between the pubic bones
    add_bone(part, hip, marrow, 1.7)
    part.paint(np.maximum(ball - 2.5, from_joint.astype(np.float32) - 9), "cartilage", -60)
    femur = smooth_min(smooth_min(beams["neck"], ellipses["greater trochanter"], 8), beams["shaft"], 8)
    femur = smooth_min(femur, ellipses["lesser trochanter"], 6)
    femur = np.minimum(femur, ball)
    add_bone(part, femur, marrow, 2.0)
    _add_shaft(part, beams["shaft"])


def _add_shaft(part: Region, shaft: np.ndarray) -> None:
    """The shaft of the femur below the trochanters: thick cortex around fatty marrow."""
    below = np.maximum(shaft, part.z + 318)
    part.paint(below, "cortical", 500)
    part.paint(np.maximum(shaft + 6, part.z + 314), "fat", 60)


def _wing(part: Region, side: int, wide: float) -> np.ndarray:
    """Distance to the iliac wing: thick at the crest and near the joints, thin between."""
    distance = np.full_like(part.x, FAR_MM)
    near = replace(part, free=distance).crop((-200, -95, -242), (200, 80, -95))
    rows = np.interp(near.z, _WING_Z, np.arange(len(_WING_Z)))
    columns = np.interp(near.y, _WING_Y, np.arange(len(_WING_Y)))
    middle = map_coordinates(_WING_X * np.float32(wide), (rows, columns), order=1, mode="nearest")
    off = np.abs(side * near.x - middle) * np.float32(0.82)  # the sheet is oblique
    close = off < 28
    y, z = near.y[close], near.z[close]
    outline = _polygon(y, z, _OUTLINE)
    thick = 3.2 + 3.5 * np.clip(1 + outline / 14, 0, 1) + 7 * np.clip((-205 - z) / 30, 0, 1)
    thick = thick + 5 * np.clip((-40 - y) / 20, 0, 1)  # at the joint with the sacrum
    near.free[close] = np.maximum(off[close] - thick, outline)
    return distance


def _polygon(y: np.ndarray, z: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance to a polygon in the plane of y and z, negative inside."""
    nearest = np.full(y.shape, FAR_MM)
    inside = np.zeros(y.shape, bool)
    for start, end in zip(corners.astype(np.float32), np.roll(corners, -1, axis=0).astype(np.float32), strict=True):
        along = end - start
        off_y, off_z = y - start[0], z - start[1]
        t = np.clip((off_y * along[0] + off_z * along[1]) / (along @ along), 0, 1)
        np.minimum(nearest, np.hypot(off_y - t * along[0], off_z - t * along[1]), out=nearest)
        crosses = (z < start[1]) != (z < end[1])
        inside ^= crosses & (np.sign(along[1]) * (off_y * along[1] - off_z * along[0]) < 0)
    return np.where(inside, -nearest, nearest)
