"""Twelve pairs of ribs with their cartilage, and the breastbone, in the surface of the rib cage."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import smooth_max
from segment.phantom.spine import THORACIC, Spine
from segment.phantom.subset import cut, subset
from segment.phantom.trunk import Trunk

# Course of the ribs 1 to 12 around the chest. The position goes from 0 at the spine to 1 at the breastbone: height at
# the side (position 0.5), position and height of the end of the bone, position and height of the end of the cartilage.
# Heights in mm for L1 at 0; the ribs start at the upper edges of the thoracic vertebrae.
_RIBS = np.array(
    [
        (283, 0.72, 262, 1.00, 268),
        (256, 0.80, 227, 1.00, 237),
        (223, 0.84, 196, 1.00, 214),
        (192, 0.86, 165, 1.00, 195),
        (160, 0.85, 133, 1.00, 176),
        (128, 0.83, 101, 1.00, 158),
        (96, 0.79, 68, 1.00, 141),
        (63, 0.74, 33, 0.93, 99),
        (32, 0.69, 0, 0.88, 58),
        (0, 0.63, -28, 0.82, 14),
        (-28, 0.53, -38, 0.56, -38),
        (-51, 0.31, -22, 0.33, -23),
    ]
)
# Half width of the breastbone by height: manubrium, body and xiphoid, in mm.
_STERNUM = np.array(
    [
        *((98, 3), (118, 7), (130, 9), (134, 13), (160, 19), (200, 15)),
        *((232, 13), (238, 17), (262, 28), (276, 26), (282, 12)),
    ],
    dtype=float,
)
_DEPTH_MM = 8.0  # of the middle of a rib below the surface of the cage
_LOW_MM = -45.0  # nothing of the cage is lower
# Corners of the part of the body with chest, shoulders and neck.
CHEST = ((-300.0, -130.0, _LOW_MM), (300.0, 180.0, 430.0))


@dataclass(frozen=True)
class Cage:
    """The rib cage.

    Attributes:
        box: The part of the body inside CHEST.
        wall: (I,J,K) distance to the outer surface of the ribs in `box`, in mm. Unlike `Trunk.cage` it bends inwards
            in front of the back muscles.
        frontal: (I,J,K) `Trunk.frontal` in `box`.
        lean: (I,J,K) `Trunk.lean` in `box`.
    """

    box: Region
    wall: np.ndarray
    frontal: np.ndarray
    lean: np.ndarray


def measure_cage(body: Region, trunk: Trunk, spine: Spine) -> Cage:
    """Measure the rib cage around a spine."""
    box = body.crop(*CHEST)
    wall, frontal, lean = (cut(body, values, *CHEST) for values in (trunk.cage, trunk.frontal, trunk.lean))
    middle_y = spine.at(box.axes[2])[1]
    low = np.clip((130 - box.axes[2]) / 90, 0, 1).astype(np.float32)
    # From the tips of the transverse processes the ribs run back and to the side, in front of the erector spinae.
    back = middle_y - 13 - 4 * low - (np.float32(0.46) + np.float32(0.14) * low) * np.abs(box.x)
    return Cage(box, smooth_max(wall, (back - box.y) * np.float32(0.9), 14), frontal, lean)


def add_ribs(cage: Cage, patient: SyntheticPatient, marrow: np.ndarray, rng: np.random.Generator) -> None:
    """Add ribs, cartilage and breastbone."""
    slope = float(np.clip(rng.normal(1, 0.12), 0.7, 1.35))
    jitter = rng.normal(0, 1.5, 12)
    calcified = float(np.clip((patient.age - 45) / 60 * rng.uniform(0, 2), 0, 0.9))  # share of the cartilage
    lime = cage.box.field(rng, 4)
    shell = np.abs(cage.wall + np.float32(_DEPTH_MM)) < 7
    with subset(cage.box, shell) as part:
        depth, frontal = cage.wall[shell] + np.float32(_DEPTH_MM), cage.frontal[shell]
        position = np.arccos(np.clip(-frontal, -1, 1)) / np.float32(np.pi)
        bone, cartilage = _measure_ribs(part, depth, position, slope, jitter)
        part.paint(cartilage, "cartilage")
        spots = np.maximum(cartilage + 0.5, 4 * (2.2 - 3.5 * calcified - np.abs(lime[shell])))
        part.paint(spots, "cortical", -150)
        part.paint(bone, "cortical")
        part.paint(bone + 1.6, "spongiosa", marrow[shell])
        sternum = _measure_sternum(part, depth)
        part.paint(sternum, "cortical", -150)
        part.paint(sternum + 1.5, "spongiosa", marrow[shell] - 40)


def _measure_ribs(
    part: Region, depth: np.ndarray, position: np.ndarray, slope: float, jitter: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest bone and to the nearest cartilage."""
    bone, cartilage = np.full_like(depth, 99), np.full_like(depth, 99)
    start = np.abs(part.x) < 20  # inside: the bodies of the vertebrae
    for number, (row, head) in enumerate(zip(_RIBS, THORACIC + 9, strict=True)):
        heights = _course(position, float(head), row, slope, float(jitter[number]))
        half_height = 4.0 if number in (0, 10, 11) else 5.0
        rib = np.hypot((part.z - heights) * np.float32(0.8), depth * np.float32(1.35)) - np.float32(half_height)
        past = (position - np.float32(row[1])) * 300
        past_cartilage = (position - np.float32(row[3] + 0.03)) * 300
        np.minimum(bone, np.where(start, 20 - np.abs(part.x), np.maximum(rib, past)), out=bone)
        np.minimum(cartilage, np.maximum(np.maximum(rib, -past), past_cartilage), out=cartilage)
    return bone, cartilage


def _course(position: np.ndarray, head: float, row: np.ndarray, slope: float, jitter: float) -> np.ndarray:
    """Height in mm of a rib at positions from 0 (spine) to 1 (breastbone)."""
    side, end, low, last, high = (float(value) for value in row)
    side, low = head + jitter + slope * (side - head), head + jitter + slope * (low - head)
    stations = np.array([0.0, 0.12, 0.5, end, last, 1.1])
    heights = np.array([head, head - 0.16 * (head - side), side, low, high, high + (high - low) * 0.4 * (last < 1)])
    order = np.argsort(stations)
    return np.asarray(np.interp(position, stations[order], heights[order]), dtype=np.float32)


def _measure_sternum(part: Region, depth: np.ndarray) -> np.ndarray:
    width = np.interp(part.z, _STERNUM[:, 0], _STERNUM[:, 1], left=-9, right=-9).astype(np.float32)
    front = np.where(part.y > 0, np.float32(0), np.float32(99))
    joint = 2.5 - np.abs(part.z - 235)  # between manubrium and body
    plate = np.maximum(np.abs(part.x) - width, np.abs(depth) - 5.5)
    return np.asarray(np.maximum(np.maximum(plate, joint), front))
