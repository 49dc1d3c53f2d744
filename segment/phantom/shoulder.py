"""Muscles of the chest wall, the shoulders, the neck and the arms, with axillary fat and the planes of fat between."""

import numpy as np

from segment.phantom.limbs import ARM_RADII, Arm
from segment.phantom.muscles import Muscles
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.ribs import Cage
from segment.phantom.shapes import tube
from segment.phantom.subset import cut

_Strand = list[tuple[float, float, float, float]]  # points x, y, z with the radius there, in mm

# Muscles of the right side. Radii may be generous: a plane of fat separates muscles that meet.
_NECK: dict[str, list[_Strand]] = {
    "sternocleidomastoid": [[(14, 24, 282, 6), (28, 24, 322, 9), (46, 4, 390, 11)]],
    "scalenes": [[(54, -6, 290, 10), (36, -6, 322, 13), (28, -4, 390, 12)]],
    "paraspinal": [[(22, -56, 262, 12), (22, -50, 300, 18), (22, -36, 330, 23), (22, -26, 390, 25)]],
    "levator scapulae": [[(72, -58, 292, 10), (48, -40, 322, 13), (36, -18, 390, 11)]],
    "trapezius": [[(128, -40, 296, 6), (84, -52, 304, 10), (52, -56, 322, 11), (34, -56, 370, 9)]],
    "strap": [[(8, 22, 286, 5), (11, 26, 330, 6), (11, 26, 390, 6)]],
    "longus colli": [[(8, -4, 262, 4), (9, -4, 320, 6), (9, 10, 390, 6)]],
}
_LOWERED: dict[str, list[_Strand]] = {
    "subscapularis": [
        [(94, -54, 180, 9), (99, -42, 220, 14), (118, -28, 254, 13), (150, -6, 266, 8)],
        [(82, -52, 262, 9), (102, -38, 258, 14), (122, -24, 268, 12), (150, -6, 272, 8)],
    ],
    "infraspinatus": [
        [(98, -78, 186, 8), (106, -70, 220, 12), (130, -56, 252, 13), (168, -36, 274, 8)],
        [(84, -74, 244, 8), (112, -64, 256, 12), (168, -36, 276, 8)],
    ],
    "supraspinatus": [[(84, -58, 284, 8), (112, -46, 292, 11), (156, -18, 294, 6)]],
    "teres": [[(104, -70, 172, 11), (132, -56, 206, 13), (168, -18, 230, 8)]],
    "deltoid": [
        [(132, 22, 292, 8), (170, 22, 272, 14), (188, 4, 225, 10), (186, -8, 190, 6)],
        [(164, -10, 302, 8), (198, -12, 268, 13), (192, -8, 210, 9)],
        [(122, -60, 290, 7), (170, -44, 272, 15), (190, -22, 222, 10)],
    ],
    "pectoralis major": [[(96, 62, 244, 10), (132, 36, 250, 13), (168, 10, 226, 8)]],
    "latissimus": [[(132, -44, 150, 10), (146, -34, 200, 12), (168, -8, 232, 7)]],
}
_RAISED: dict[str, list[_Strand]] = {
    "subscapularis": [
        [(124, -38, 186, 10), (113, -36, 228, 14), (113, -26, 262, 13), (140, -8, 290, 8)],
        [(92, -50, 272, 9), (100, -40, 262, 13), (118, -24, 278, 13), (140, -8, 292, 8)],
    ],
    "infraspinatus": [
        [(136, -62, 192, 9), (132, -64, 225, 13), (138, -54, 262, 13), (154, -34, 298, 8)],
        [(98, -68, 252, 9), (114, -66, 260, 13), (154, -34, 300, 8)],
    ],
    "supraspinatus": [[(88, -58, 296, 8), (112, -44, 306, 10), (144, -18, 312, 6)]],
    "teres": [[(138, -54, 180, 11), (152, -40, 222, 14), (158, -16, 292, 8)]],
    "deltoid": [
        [(126, 22, 310, 8), (150, 26, 334, 12), (160, 10, 390, 9)],
        [(154, -10, 328, 8), (176, -8, 352, 11), (166, 0, 400, 8)],
        [(118, -58, 302, 8), (158, -42, 322, 14), (168, -6, 376, 9)],
    ],
    "pectoralis major": [[(96, 58, 244, 12), (126, 36, 272, 13), (150, 12, 326, 9)]],
    "latissimus": [[(142, -34, 140, 11), (154, -22, 212, 14), (156, -4, 292, 9)]],
}
_LOW_MM = 112.0  # below, the wall of the chest has no room between ribs and skin for more than one muscle
_CORNERS = ((-250.0, -125.0, _LOW_MM), (250.0, 150.0, 430.0))
_PLANE_MM = 1.2  # half the width of the fat between two muscles


def add_shoulders(
    body: Region, cage: Cage, arms: tuple[Arm, Arm], patient: SyntheticPatient, rng: np.random.Generator
) -> None:
    """Replace the solid wall of the upper chest, the shoulders and the neck by muscles in fat."""
    bulk = float(rng.normal(1, 0.08)) * (0.92 if patient.female else 1.08) - 0.003 * max(0, patient.age - 60)
    part = cage.box.crop(*_CORNERS)
    wasting = np.float32(10 + 18 * patient.visceral + 0.5 * max(0, patient.age - 50)) * float(rng.uniform(0.5, 1.5))
    streaks = -wasting * np.clip(part.field(rng, 6) - 0.6, 0, 2)
    grain = 5 * part.field(rng, 12)
    bundles = [muscle for arm in arms for muscle in _sample_strands(arm, bulk, rng)]
    for arm in arms:
        _add_lowered_arm(body, arm, bulk)
    if not part.x.size:
        return
    wall, frontal, lean = (cut(cage.box, values, *_CORNERS) for values in (cage.wall, cage.frontal, cage.lean))
    muscles = Muscles(part)
    for sheet in _sheets(part, wall, frontal, lean, bulk):
        muscles.add(sheet)
    for strands in bundles:
        muscles.add_strands(strands)
    room = np.maximum(1 - wall, _LOW_MM + 4 - part.z)
    part.paint(np.maximum(room, lean - 1), "fat", grain)
    room = np.maximum(room, lean + np.float32(1.2))
    part.paint(np.maximum(muscles.distance(_PLANE_MM), room), "muscle", streaks)


def _add_lowered_arm(body: Region, arm: Arm, bulk: float) -> None:
    """Replace the solid muscle of an arm below the shoulder by two bundles in fat."""
    low, high = arm.path.min(0) - 40, arm.path.max(0) + 40
    part = body.crop(low, np.minimum(high, (1e3, 1e3, _LOW_MM - 12)))
    if part.x.size:
        muscles = Muscles(part)
        for strand in _arm_strands(arm, bulk):
            muscles.add_strands([strand])
        surface = tube(part, arm.path, ARM_RADII)
        part.paint(np.maximum(surface - 1, part.z - (_LOW_MM + 4)), "fat")
        part.paint(np.maximum(np.maximum(muscles.distance(_PLANE_MM), surface + 1), part.z - (_LOW_MM + 4)), "muscle")


def _sample_strands(arm: Arm, bulk: float, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Muscles of one side, each as strands (N,4) of points and radii in mm."""
    bundles = []
    for muscle in ((_RAISED if arm.raised else _LOWERED) | _NECK).values():
        shift, size = rng.normal(0, 2, 3), bulk * float(rng.normal(1, 0.06))
        bundles.append([np.array(strand) * (arm.side, 1, 1, size) + (*shift, 0) for strand in muscle])
    bundles += [[strand] for strand in _arm_strands(arm, bulk)]
    return bundles


def _arm_strands(arm: Arm, bulk: float) -> list[np.ndarray]:
    """Strands of biceps and triceps, in front of and behind the bone, and of flexors and extensors of the forearm."""
    strands = []
    for start, end, radius in zip(arm.path[:2], arm.path[1:3], (19.0, 15.0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        across = np.array((0, 1, 0)) - along[1] * along
        for direction in (-1, 1):
            offset = direction * 0.9 * radius * across
            points = np.array([start + t * (end - start) + offset for t in (0.15, 0.5, 0.95)])
            strands.append(np.column_stack([points, np.array((0.7, 1.15, 0.7)) * radius * bulk]))
    return strands


def _sheets(part: Region, wall: np.ndarray, frontal: np.ndarray, lean: np.ndarray, bulk: float) -> list[np.ndarray]:
    """Distances to the flat muscles of both sides, which follow the ribs or lie under the fat of the skin."""
    side, z = np.abs(part.x), part.z

    def layer(surface: np.ndarray, near: float, far: float) -> np.ndarray:
        return np.abs(surface - np.float32((near + far) / 2)) - np.float32((far - near) / 2)

    front, back = (0.1 - frontal) * 60, (frontal + 0.1) * 60
    pectoralis = np.maximum(np.maximum(layer(-lean, 1, 2 + 13 * bulk), front), np.maximum(8 - side, side - 125))
    pectoralis = np.maximum(pectoralis, np.maximum(150 + 0.5 * side - z, z - 286))
    minor = np.maximum(np.maximum(layer(wall, 2, 11), (0.25 - frontal) * 60), np.maximum(55 - side, side - 118))
    minor = np.maximum(minor, np.maximum(190 - z, z - 268))
    serratus = np.maximum(layer(wall, 1, 1.5 + 6 * bulk), np.abs(frontal + 0.2) * 60 - 36)
    serratus = np.maximum(serratus, np.maximum(90 - z, z - 262))
    latissimus = np.maximum(layer(-lean, 1, 2 + 8 * bulk), np.maximum((np.abs(frontal + 0.4) - 0.45) * 60, 40 - side))
    latissimus = np.maximum(latissimus, z - 215)
    trapezius = np.maximum(np.maximum(layer(-lean, 1, 2 + 8 * bulk), back + 20), np.maximum(side - 100, 2 - side))
    trapezius = np.maximum(trapezius, 125 + 0.9 * side - z)
    erector = np.maximum(np.maximum(1 - wall, side - 52), np.maximum(lean + 11, back + 30))
    rhomboid = np.maximum(np.maximum(layer(wall, 2, 9), back + 30), np.maximum(54 - side, side - 84))
    rhomboid = np.maximum(rhomboid, np.maximum(200 - z, z - 285))
    return [pectoralis, minor, serratus, latissimus, trapezius, erector, rhomboid]
