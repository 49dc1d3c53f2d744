"""The spine: 24 vertebrae with their discs on a curve, the spinal canal, and the sacrum with the coccyx."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segment.phantom.bone import add_bone
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, curve, smooth_max

# Height of the middle of each vertebra in mm, from L5 to C2.
LEVELS = np.array(
    (-136, -101, -67, -33, 0, 30, 58, 85, 111, 137, 162, 187, 211, 234, 257, 279, 300, 318, 335, 352, 369, 386, 403),
    dtype=float,
)
THORACIC = LEVELS[5:17][::-1]  # T1 to T12

# The curve of the spine of a patient who lies on the back: height z and y of the middle of the vertebrae in mm.
# The kyphosis of the chest increases with age (316 people, Fon et al. 1980, AJR 134:979).
_CURVE = np.array(
    [
        *((-155, -3), (-136, 2), (-101, 5), (-67, 5), (-33, 3), (0, 0), (30, -4), (58, -9), (100, -15)),
        *((140, -20), (180, -24), (220, -26), (260, -25), (285, -22), (300, -18), (320, -11), (350, -2), (400, 7)),
    ],
    dtype=float,
)
# Sizes by height, in mm: z, half width and half depth of the body, half thickness of the disc, half width of the
# canal, and of the transverse process: reach to the side and to the back from the middle of the vertebra.
_SIZES = np.array(
    [
        (-136, 26, 17.5, 5.5, 12, 42, 22),
        (-64, 24, 17.5, 5, 11, 42, 22),
        (0, 23, 17, 4.5, 10.5, 38, 24),
        (30, 22, 16.5, 3.5, 10, 24, 30),
        (60, 20, 16.5, 3, 9, 26, 34),
        (150, 16, 15, 2.4, 8.5, 33, 33),
        (230, 14.5, 13, 2.3, 8.5, 35, 30),
        (300, 17, 10, 2.5, 10, 37, 22),
        (330, 14, 8.5, 3, 12, 27, 14),
        (400, 13, 8.5, 3, 12, 27, 10),
    ],
    dtype=float,
)
# Middle of the sacrum and coccyx in the median plane: y, z, half thickness and half width in mm.
_SACRUM = np.array(
    [
        (-8, -157, 17, 52),
        (-24, -175, 16, 53),
        (-42, -195, 13, 47),
        (-55, -216, 10, 36),
        (-60, -236, 8, 24),
        (-57, -254, 6, 12),
        (-48, -270, 4, 6),
        (-40, -280, 3, 4),
    ],
    dtype=float,
)


@dataclass(frozen=True)
class Spine:
    """The curve of a patient's spine.

    Attributes:
        z: Heights in mm.
        x: Side of the middle of the vertebral bodies at these heights in mm: scoliosis.
        y: Likewise to the front: kyphosis and lordosis.
        spurs: (levels,) thickness in mm of the osteophytes around the end plates of each vertebra.
    """

    z: np.ndarray
    x: np.ndarray
    y: np.ndarray
    spurs: np.ndarray

    def at(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The position (x, y) of the middle of the spine at heights in mm."""
        return np.interp(z, self.z, self.x).astype(np.float32), np.interp(z, self.z, self.y).astype(np.float32)


def sample_spine(patient: SyntheticPatient, rng: np.random.Generator) -> Spine:
    """Sample the curves: a little scoliosis in all, and a marked one in 6 %."""
    kyphosis = float(np.clip(rng.normal(1 + 0.004 * (patient.age - 50), 0.18), 0.5, 1.6))
    lordosis = float(np.clip(rng.normal(1, 0.35), 0.2, 1.7))
    points = _CURVE.copy()
    points[:, 1] *= np.where(points[:, 0] > 0, kyphosis, np.where(points[:, 0] < -140, 1, lordosis))
    path = curve(points, 6)
    sideways = rng.normal(0, 1.6) if rng.random() < 0.94 else rng.choice((-1, 1)) * rng.uniform(5, 12)
    wave = np.sin((path[:, 0] - rng.uniform(-20, 40)) * (2 * np.pi / rng.uniform(300, 420)))
    wear = max(0.0, (patient.age - 42) / 12) * np.exp(rng.normal(-0.3, 0.6))
    spurs = np.clip(wear * rng.gamma(1.5, 0.6, len(LEVELS)), 0, 7)
    return Spine(path[:, 0], sideways * wave, path[:, 1], spurs)


def add_spine(body: Region, spine: Spine, rng: np.random.Generator) -> None:
    """Add and claim vertebrae, discs, the canal with the cord, and the sacrum."""
    part = body.crop((-75, -110, -170), (75, 45, 430))
    marrow, bumps = 25 * part.field(rng, 5), part.field(rng, 12)
    sacrum = body.crop((-58, -80, -280), (58, 20, -140))
    if part.x.size:
        _add_vertebrae(part, spine, marrow, bumps)
    if sacrum.x.size:
        _add_sacrum(sacrum)


def _add_vertebrae(part: Region, spine: Spine, marrow: np.ndarray, bumps: np.ndarray) -> None:
    middle_x, middle_y = spine.at(part.z)
    x, y = part.x - middle_x, part.y - middle_y
    slope = np.interp(part.z, spine.z, np.gradient(spine.y, spine.z)).astype(np.float32)
    z = part.z + slope * y  # the end plates are perpendicular to the curve
    width, depth, disc, canal_width, reach, behind = (
        np.interp(z, _SIZES[:, 0], column).astype(np.float32) for column in _SIZES[:, 1:].T
    )
    level = np.clip(np.rint(np.interp(z, LEVELS, np.arange(len(LEVELS)))), 0, len(LEVELS) - 1).astype(int)
    spacing = np.gradient(LEVELS).astype(np.float32)[level]
    above = z - LEVELS.astype(np.float32)[level]  # the middle of the vertebra
    height = spacing / 2 - disc
    edge = np.clip(np.abs(above) / height, 0, 1.1)
    radius = (width + depth) / 2
    level_set = np.hypot(x / width, y / depth)
    column = (level_set - 0.9 - 0.1 * edge**2) * radius
    column -= spine.spurs.astype(np.float32)[level] * edge**6 * np.clip(0.4 + bumps, 0, 2) * (y > -depth / 2)
    canal_y = y + depth + 7.5
    canal = (np.hypot(x / canal_width, canal_y / 8.5) - 1) * 9
    column = np.maximum(np.maximum(column, 1.5 - canal), -154 - z)
    part.paint(column, "disc")
    part.occupy(column)
    add_bone(part, np.maximum(column, np.abs(above) - height), marrow, 1.4)
    arch = _arch(np.abs(x), canal_y, above, canal, spacing, np.stack((reach, behind - depth - 7.5)))
    add_bone(part, np.maximum(arch, -168 - z), marrow, 1.6)
    _add_canal(part, x, canal_y, canal_width)


def _arch(
    side: np.ndarray, y: np.ndarray, above: np.ndarray, canal: np.ndarray, spacing: np.ndarray, tip: np.ndarray
) -> np.ndarray:
    """Distance to the arch around the canal with its joints and processes.

    Args:
        side: Distance to the median plane in mm.
        y: Position in mm, from the middle of the canal to the front.
        above: Height over the middle of the vertebra in mm.
        canal: Distance to the canal in mm.
        spacing: Height of a vertebra with its disc in mm.
        tip: (2,...) position of the tip of the transverse process: to the side, and behind the middle of the canal.
    """
    reach, behind = tip
    size = spacing / 32
    thoracic = np.clip((31 - spacing) / 5, 0, 1)
    ring = np.maximum(np.maximum(np.abs(canal - 3.5) - 3.5, np.abs(above) - 0.36 * spacing), y - 9)
    slanted = above + 4 + (0.7 * thoracic) * np.maximum(-y - 8, 0)  # thoracic spinous processes point down
    process = np.maximum(np.maximum(side - 3, np.abs(y + 25) - 17 * size - 1), np.abs(slanted) - 9 * size)
    joints = np.hypot(np.hypot(side - 14 * size, y + 9), (spacing / 2 - np.abs(above)) * 0.6) - 6.5 * size
    along = np.clip((side - 10) / np.maximum(reach - 10, 1), 0, 1)
    off = np.hypot(side - 10 - along * (reach - 10), y + along * behind)
    transverse = np.hypot(off, above - 2) - 4.5 * np.sqrt(size)
    return np.asarray(np.minimum(np.minimum(ring, process), np.minimum(joints, transverse)))


def _add_canal(part: Region, x: np.ndarray, y: np.ndarray, width: np.ndarray) -> None:
    def inside(half_width: np.ndarray | float, half_depth: float) -> np.ndarray:
        ellipse = (np.hypot(x / half_width, y / half_depth) - 1) * half_depth
        return np.asarray(np.maximum(ellipse, -165 - part.z))

    part.paint(inside(width, 8), "visceral_fat", 60)
    part.paint(inside(0.76 * width, 6), "canal")
    part.paint(np.maximum(inside(0.46 * width, 4), -part.z), "cord")  # it ends at L1; below are the roots in fluid


def _add_sacrum(part: Region) -> None:
    path = curve(_SACRUM, 14)
    distance = np.full_like(part.x, FAR_MM)
    side = np.abs(part.x)
    behind = part.y + np.float32(0.3) * np.maximum(side - 18, 0)  # the wings turn back
    for start, end in pairwise(path):
        along = end[:2] - start[:2]
        y, z = behind - np.float32(start[0]), part.z - np.float32(start[1])
        t = np.clip((y * along[0] + z * along[1]) / float(along @ along), 0, 1).astype(np.float32)
        off = np.hypot(y - t * np.float32(along[0]), z - t * np.float32(along[1]))
        thick, wide = (start[n] + t * np.float32(end[n] - start[n]) for n in (2, 3))
        thick = thick * (1 - 0.3 * np.clip(side / wide, 0, 1) ** 2)  # the wings are thinner than the bodies
        np.minimum(distance, smooth_max(off - thick, side - wide, 10), out=distance)
    distance = np.maximum(distance, part.z + np.float32(0.3) * part.y + 151)  # end plate of S1
    add_bone(part, distance, 0.0, 1.5)
    for hole_y, hole_z in ((-36, -178), (-48, -197), (-54, -216)):  # the openings for the nerves
        hole = np.hypot(side - 20, part.z - hole_z + np.float32(0.5) * (part.y - hole_y)) - 5
        part.paint(np.maximum(hole, distance - 3), "visceral_fat", 30)
    canal = np.hypot(part.x / 11, part.y + np.float32(36) - np.float32(0.8) * (part.z + 175)) - 1
    part.paint(np.maximum(canal * 5, np.abs(part.z + 178) - 22), "canal", -40)
