"""Muscles of pelvis, buttocks and thighs, with the planes of fat between them."""

import numpy as np

from segment.phantom.muscles import Muscles
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.trunk import Trunk

# Muscles of the right side. Each is the union of its strands; a strand is a list of points x, y, z with the radius
# there, in mm. Where two muscles meet, a plane of fat separates them, so radii may be generous. Bones are added later.
_Strand = list[tuple[float, float, float, float]]
_MUSCLES: dict[str, list[_Strand]] = {
    "gluteus maximus": [
        [(45, -68, -142, 14), (84, -70, -200, 25), (122, -48, -270, 20), (126, -26, -312, 9)],
        [(30, -68, -188, 13), (70, -76, -245, 28), (112, -52, -312, 18)],
        [(26, -68, -228, 13), (58, -74, -282, 27), (96, -58, -335, 18)],
    ],
    "gluteus medius": [
        [(124, 44, -128, 7), (130, 36, -170, 12), (138, 16, -222, 15), (142, -8, -262, 6)],
        [(118, 8, -116, 8), (120, 6, -160, 20), (130, 4, -205, 20), (140, -6, -250, 10)],
        [(100, -24, -120, 8), (104, -22, -160, 22), (122, -16, -205, 20), (140, -10, -250, 9)],
        [(78, -50, -135, 9), (86, -48, -170, 20), (108, -36, -210, 17), (138, -12, -252, 8)],
    ],
    "gluteus minimus": [
        [(112, 28, -172, 8), (110, 18, -205, 14), (124, 10, -240, 12), (138, 4, -262, 5)],
        [(100, -4, -172, 9), (104, -2, -205, 15), (118, 0, -235, 13), (138, 0, -262, 5)],
    ],
    "tensor fasciae latae": [[(124, 56, -172, 8), (136, 50, -225, 15), (142, 34, -290, 13), (146, 20, -345, 6)]],
    "sartorius": [[(118, 66, -168, 6), (110, 72, -215, 9), (90, 74, -272, 11), (66, 64, -335, 11), (56, 52, -400, 11)]],
    "rectus femoris": [[(114, 40, -208, 6), (114, 56, -255, 13), (106, 60, -310, 18), (102, 56, -400, 22)]],
    "iliacus and psoas": [
        [(44, 0, -104, 18), (56, 8, -150, 20), (66, 22, -205, 20), (78, 36, -245, 17), (94, -4, -300, 10)],
        [(100, -8, -122, 9), (92, 2, -150, 15), (86, 16, -185, 16), (84, 34, -225, 16), (92, 32, -255, 14)],
        [(114, 26, -130, 7), (108, 32, -155, 12), (98, 38, -190, 14), (90, 42, -230, 14)],
        [(78, -28, -138, 10), (76, -14, -165, 12), (76, 6, -195, 14)],
    ],
    "pectineus": [[(28, 58, -258, 8), (55, 48, -282, 15), (88, 14, -318, 11)]],
    "adductor longus": [[(14, 56, -274, 7), (44, 48, -318, 17), (78, 26, -390, 17)]],
    "adductor magnus": [[(22, 18, -302, 10), (50, 4, -338, 27), (72, -2, -420, 32)]],
    "gracilis": [[(12, 32, -288, 6), (20, 22, -340, 11), (32, 6, -420, 12)]],
    "obturator externus": [[(28, 30, -282, 10), (62, 10, -292, 14), (112, -18, -272, 6)]],
    "obturator internus": [
        [(48, 34, -238, 8), (48, 4, -245, 12), (52, -34, -262, 10)],
        [(56, 18, -220, 7), (54, -8, -226, 11), (56, -36, -244, 9)],
        [(40, 32, -272, 8), (44, 4, -276, 12), (52, -36, -280, 10)],
        [(56, -40, -264, 8), (84, -40, -262, 8), (126, -14, -256, 6)],
    ],
    "piriformis": [[(20, -50, -196, 8), (60, -54, -214, 13), (128, -14, -252, 6)]],
    "quadratus femoris": [[(70, -34, -300, 10), (112, -20, -296, 12)]],
    "hamstrings": [[(66, -44, -314, 9), (74, -46, -350, 22), (78, -40, -420, 30)]],
    "vastus lateralis": [[(144, 4, -286, 12), (142, 8, -330, 24), (134, 14, -420, 30)]],
    "vastus intermedius": [[(122, 10, -308, 18), (112, 14, -420, 30)]],
    "vastus medialis": [[(92, 24, -322, 12), (80, 28, -420, 26)]],
    "levator ani": [
        [(42, 22, -262, 3), (14, 0, -288, 4), (8, -36, -296, 5)],
        [(46, -22, -252, 3), (18, -40, -282, 4), (6, -48, -292, 5)],
    ],
    "erector spinae": [[(33, -54, -100, 19), (26, -62, -155, 15), (12, -66, -215, 5)]],
}
_PLANE_MM = 1.3  # half the width of the fat between two muscles
_TOP_MM = -118.0  # above, `trunk` adds the wall of the abdomen


def add_hips(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Replace the solid wall of the pelvis and the thighs by muscles in fat. Muscles in the cavity are claimed."""
    rng = rng.spawn(1)[0]
    part = body.crop((-1e3, -1e3, -1e3), (1e3, 1e3, _TOP_MM + 20))  # everything below a height
    if not part.x.size:
        return
    bulk = float(rng.normal(1, 0.05)) * (0.95 if patient.female else 1.02) - 0.002 * max(0, patient.age - 60)
    muscles = _measure_muscles(part, bulk, rng)
    wasting = np.float32(10 + 20 * patient.visceral + 0.8 * max(0, patient.age - 50)) * float(rng.uniform(0.5, 1.5))
    # Sheets of fat between the bundles: where a random field is close to 0.
    streaks = -wasting * np.clip(1 - np.abs(part.field(rng, 9)) / np.float32(0.35), 0, 1) - float(rng.uniform(0, 15))
    lean, cavity = trunk.lean[..., : part.x.shape[2]], trunk.cavity[..., : part.x.shape[2]]
    room = np.maximum(lean + np.float32(1.2), part.z - np.float32(_TOP_MM))
    part.paint(np.maximum(room, -cavity), "fat", 5 * part.field(rng, 12))
    muscles = np.minimum(muscles, np.maximum(_abdominal_wall(part, lean), -cavity))
    muscles = np.maximum(muscles, room)
    part.paint(muscles, "muscle", streaks)
    part.occupy(np.maximum(muscles, part.z - np.float32(_TOP_MM)))


def _measure_muscles(part: Region, bulk: float, rng: np.random.Generator) -> np.ndarray:
    """Distance to the muscles of both sides."""
    muscles = Muscles(part)
    for strands in _MUSCLES.values():
        for side in (-1, 1):
            shift, size = rng.normal(0, 1.5, 3), bulk * float(rng.normal(1, 0.05))
            muscles.add_strands([np.array(strand) * (side, 1, 1, size) + (*shift, 0) for strand in strands])
    return muscles.distance(_PLANE_MM)


def _abdominal_wall(part: Region, lean: np.ndarray) -> np.ndarray:
    """Distance to the lowest part of the abdominal wall: above the inguinal ligaments, which run from hip to pubis."""
    side = np.abs(part.x)
    ligament = (np.float32(-262) + np.maximum(side - 22, 0) - part.z) * np.float32(0.7)
    layer = np.maximum(-11 - lean, 2 - side)
    return np.asarray(np.maximum(np.maximum(layer, ligament), (20 - part.y) * np.float32(0.5)))
