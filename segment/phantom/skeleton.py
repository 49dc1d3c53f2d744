"""Vertebrae, ribs with their cartilage, and the iliac wings."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, tube
from segment.phantom.trunk import Trunk

# Height of a vertebra with its disc, and of a rib with the space below it.
_VERTEBRA_MM = 32.0
_RIB_MM = 25.0


def add_skeleton(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add and claim the bones."""
    marrow = 30 * body.field(rng, 6)
    _add_ribs(body, trunk, marrow)
    _add_iliac_wings(body, trunk, marrow)
    spine = body.crop((-60, -85, body.axes[2][0]), (60, 30, body.axes[2][-1]))
    _add_spine(spine, rng)


def add_bone(region: Region, distance: np.ndarray, marrow: np.ndarray | float, cortex_mm: float) -> None:
    """Add and claim a bone: a cortex of this thickness around marrow, whose HU vary by `marrow`."""
    region.paint(distance, "cortical")
    region.paint(distance + cortex_mm, "spongiosa", marrow)
    region.occupy(distance)


def _add_spine(spine: Region, rng: np.random.Generator) -> None:
    x, y = spine.x, spine.y
    from_center = spine.z - np.float32(_VERTEBRA_MM) * np.rint(spine.z / np.float32(_VERTEBRA_MM))
    height = np.abs(from_center)
    waist = 1 - np.float32(0.10) * np.clip(1 - height / 13, 0, 1)
    body = (np.hypot(x / 24, y / 17.5) - waist) * 19
    canal = (np.hypot(x / 11, (y + 24) / 8.5) - 1) * 9
    body = np.maximum(body, 2 - canal)
    disc = np.maximum(body, height - 17)
    spine.paint(disc, "disc")
    spine.occupy(disc)
    marrow = 25 * spine.field(rng, 5)
    add_bone(spine, np.maximum(body, height - 12), marrow, 1.4)
    side = np.abs(x)
    ring = np.maximum(np.maximum(np.abs(canal - 3.5) - 3.5, height - 9), y + 15)  # arch around the canal
    process = np.maximum(np.maximum(side - 3.2, np.abs(y + 50) - 17), np.abs(from_center + 5) - 9)
    joints = np.hypot(np.hypot(side - 15, y + 33), (height - 12) * 0.6) - 7
    transverse = np.hypot(np.hypot(np.clip(side - 38, 0, None), np.clip(12 - side, 0, None)), 1.2 * (y + 24))
    transverse = np.hypot(transverse, from_center) - 4.5
    arch = np.minimum(np.minimum(ring, process), np.minimum(joints, transverse))
    add_bone(spine, arch, marrow, 1.6)
    spine.paint(canal, "visceral_fat", 80)
    spine.paint((np.hypot(x / 8, (y + 24) / 6) - 1) * 7, "canal")
    spine.paint((np.hypot(x / 5, (y + 24) / 4.2) - 1) * 5, "cord")


def _add_ribs(body: Region, trunk: Trunk, marrow: np.ndarray) -> None:
    cage, frontal = trunk.cage, trunk.frontal
    # Ribs slope down towards the front. The twelfth rib, number 0, starts at the spine at z = 20.
    level = (body.z - 20 + 42 * (1 + frontal)) / _RIB_MM
    number = np.maximum(np.rint(level), 0)
    rib = np.hypot((level - number) * (0.85 * _RIB_MM), (cage + 8) * 1.4) - 5.5
    end = np.interp(number, (0, 1, 2, 3, 5, 7), (-0.35, 0.2, 0.72, 0.78, 0.86, 0.9)).astype(np.float32)
    past = (frontal - end) * 120
    near_spine = 24 - np.abs(body.x)
    bone = np.maximum(np.maximum(rib, past), near_spine)
    cartilage = np.maximum(np.maximum(rib, -past), np.maximum(frontal - 0.985, 2 - number) * 120)
    body.paint(cartilage, "cartilage")
    body.paint(bone, "cortical")
    body.paint(bone + 1.6, "spongiosa", marrow)


def _add_iliac_wings(body: Region, trunk: Trunk, marrow: np.ndarray) -> None:
    crest = body.z + 104 + 28 * ((trunk.frontal + 0.2) / 0.6) ** 2
    wing = np.abs(trunk.lean + 15 + 0.12 * (body.z + 104)) - 4.5
    wing = np.maximum(np.maximum(wing, crest), (np.abs(trunk.frontal + 0.2) - 0.6) * 90)
    add_bone(body, wing, marrow, 1.6)
    sacrum = np.maximum(ellipsoid(body, (0, -28, -185), (52, 24, 40)), body.z + 138)
    add_bone(body, sacrum, marrow, 1.6)
    for side in (-1, 1):  # the joint between the iliac wing and the sacrum
        joint = tube(body, np.array([(side * 52, -35, -150), (side * 70, -35, -190)]), np.array([9, 12]))
        add_bone(body, joint, marrow, 1.6)
