"""The heart with its four chambers, in fat inside the pericardium."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import ellipsoid, smooth_max, smooth_min, tube

_MIDDLE = np.array((-16.0, 58.0, 136.0))  # in mm; the heart is scaled and turned about this point
_LONG_AXIS = np.array((-0.70, 0.52, -0.49))  # of the left ventricle, from base to apex
# Middle and half axes in mm of an average heart; ventricles along their long axes.
_LEFT_VENTRICLE = ((-46.0, 66.0, 124.0), (46.0, 28.0, 28.0))
_LEFT_CAVITY = ((-42.0, 63.0, 127.0), (37.0, 18.0, 18.0))
_RIGHT_VENTRICLE = ((-16.0, 82.0, 121.0), (46.0, 22.0, 30.0))
_RIGHT_ATRIUM = ((28.0, 54.0, 135.0), (22.0, 27.0, 33.0))
_LEFT_ATRIUM = ((-6.0, 37.0, 161.0), (35.0, 17.0, 22.0))
_OUTFLOW = np.array([(-6.0, 92, 142), (-14, 86, 160), (-17, 78, 174)])  # of the right ventricle
HEART = ((-115.0, -5.0, 65.0), (80.0, 125.0, 200.0))  # corners of a box around it


@dataclass(frozen=True)
class Heart:
    """Size and position of a heart.

    Attributes:
        scale: Length relative to the average.
        turn: (3,3) rotation.
        shift: (3,) mm.
        wall_mm: Thickness added to the myocardium of the left ventricle.
        fluid_mm: Thickness of the fluid in the pericardium.
    """

    scale: float
    turn: np.ndarray
    shift: np.ndarray
    wall_mm: float
    fluid_mm: float

    def place(self, points: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """Points (...,3) of the average heart, in this heart."""
        return np.asarray(_MIDDLE + self.shift + self.scale * (np.asarray(points) - _MIDDLE) @ self.turn.T)


def sample_heart(patient: SyntheticPatient, rng: np.random.Generator) -> Heart:
    """Sample a heart: one in eight is enlarged, 4 % have a pericardial effusion.

    It lies more horizontally in obese patients and more upright in slim ones.
    """
    scale = float(rng.normal(0.98 if patient.female else 1.02, 0.05))
    if rng.random() < 0.12 and patient.age > 40:
        scale *= float(rng.uniform(1.1, 1.3))
    across = float(np.clip(rng.normal(0.25 * (patient.visceral - 0.4), 0.12), -0.35, 0.35))
    around = float(rng.normal(0, 0.15))
    upright = np.array(((np.cos(across), 0, np.sin(across)), (0, 1, 0), (-np.sin(across), 0, np.cos(across))))
    turned = np.array(((np.cos(around), -np.sin(around), 0), (np.sin(around), np.cos(around), 0), (0, 0, 1)))
    shift = rng.normal(0, (4, 3, 3)) - (0, 0, 4 * (scale > 1.15))
    wall_mm = float(rng.normal(0, 1.5)) + 5 * float(rng.random() < 0.08)
    effusion, thickness = rng.random(2)
    return Heart(scale, turned @ upright, shift, wall_mm, 4 + 14 * float(thickness) if effusion < 0.04 else 0.0)


def measure_heart(part: Region, heart: Heart, room: np.ndarray) -> dict[str, np.ndarray]:
    """Distances (I,J,K) to the chambers with their walls, and to the cavity of the left ventricle, in mm.

    Args:
        part: The box HEART.
        heart: Size and position.
        room: Distance to the wall of the chest, which flattens the heart.
    """
    right_axis = np.array((-0.82, 0.36, -0.44))
    right = _chamber(part, heart, _RIGHT_VENTRICLE, right_axis)
    outflow = tube(part, heart.place(_OUTFLOW), np.array((15, 15, 14)) * heart.scale)
    chambers = {
        "left ventricle": _chamber(part, heart, _LEFT_VENTRICLE, _LONG_AXIS),
        "left cavity": _chamber(part, heart, _LEFT_CAVITY, _LONG_AXIS) + np.float32(heart.wall_mm),
        "right ventricle": smooth_min(right, outflow, 10),
        "right atrium": _chamber(part, heart, _RIGHT_ATRIUM, None),
        "left atrium": _chamber(part, heart, _LEFT_ATRIUM, None),
    }
    return {name: smooth_max(chamber, room, 6) for name, chamber in chambers.items()}


def _chamber(
    part: Region, heart: Heart, shape: tuple[tuple[float, ...], tuple[float, ...]], axis: np.ndarray | None
) -> np.ndarray:
    center, radii = shape
    turn = np.eye(3)
    if axis is not None:
        first = axis / np.linalg.norm(axis)
        second = np.cross((0, 0, 1.0), first)
        second /= np.linalg.norm(second)
        turn = np.stack([first, second, np.cross(first, second)])
    return ellipsoid(part, heart.place(center), np.array(radii) * heart.scale, turn @ heart.turn.T)


def paint_heart(part: Region, chambers: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Paint walls and blood. In the arterial phase, blood with and without contrast medium mixes in the right heart."""
    left, cavity, right, right_atrium, left_atrium = (
        chambers[name] for name in ("left ventricle", "left cavity", "right ventricle", "right atrium", "left atrium")
    )
    walls = np.minimum(np.minimum(left, right), np.minimum(right_atrium, left_atrium))
    part.paint(walls, "myocardium")
    part.paint(np.maximum(cavity, 4 - left_atrium), "left_heart")
    part.paint(np.maximum(left_atrium + 2, 1.5 - left), "left_heart")
    swirl = 0.15 * (part.tissue_hu["right_heart"] - 42) * part.field(rng, 14)
    blood = np.maximum(right + 3.5, 1.5 - left)
    part.paint(blood, "right_heart", swirl)
    part.paint(np.maximum(np.maximum(right_atrium + 2, 3 - blood), 3 - left_atrium), "right_heart", swirl)
