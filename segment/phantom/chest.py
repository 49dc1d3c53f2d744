"""Lungs and mediastinum: airways, heart, great vessels, oesophagus, thyroid, and the vessels of the lungs."""

from dataclasses import replace

import numpy as np

from segment.phantom.breath import breathe
from segment.phantom.chest_vessels import CHEST_VESSELS, ChestVessels
from segment.phantom.heart import HEART, measure_heart, paint_heart, sample_heart
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Corner, Region
from segment.phantom.ribs import CHEST
from segment.phantom.shapes import FAR_MM, curve, ellipsoid, smooth_max, smooth_min, tube
from segment.phantom.skeleton import Frame
from segment.phantom.subset import cut
from segment.phantom.trunk import Trunk

_WALL_MM = 13.0  # from the outer surface of the ribs to the lung
_CENTRAL = ((-110.0, -75.0, 60.0), (110.0, 130.0, 430.0))  # corners of a box around the mediastinum
# Half width of the fat behind the breastbone by height, in mm.
_BAND = np.array([(60, 26), (90, 16), (130, 9), (180, 5), (220, 8), (245, 16), (280, 24), (330, 40)], dtype=float)
_TRACHEA = np.array([(0, 18, 430), (0, 16, 340), (2, 10, 280), (3, 10, 222)], dtype=float)
_BRONCHI = [  # points in mm and radius at both ends
    ([(3, 10, 224), (18, 10, 208), (36, 12, 192), (44, 14, 172)], (8, 5)),
    ([(28, 11, 198), (46, 14, 206), (56, 16, 216)], (5, 3.5)),
    ([(40, 13, 180), (56, 30, 166), (66, 50, 150)], (4, 2.5)),
    ([(44, 14, 172), (54, 2, 148), (62, -8, 122)], (5, 3)),
    ([(3, 10, 224), (-18, 10, 206), (-42, 10, 190), (-48, 10, 172)], (7, 5)),
    ([(-42, 10, 190), (-54, 26, 194), (-62, 40, 200)], (4.5, 3)),
    ([(-48, 10, 172), (-58, 0, 148), (-66, -8, 122)], (4.5, 3)),
]
_OESOPHAGUS = np.array(
    [(-2, 4, 430), (-4, 0, 320), (-5, -2, 262), (-2, -2, 225), (5, 6, 190), (4, 15, 160), (-6, 30, 110), (-24, 40, 78)],
    dtype=float,
)
_HILA = {1: np.array((46.0, 22, 184)), -1: np.array((-50.0, 18, 188))}


def add_chest(body: Region, trunk: Trunk, frame: Frame, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add everything inside the rib cage above the diaphragm, and the organs of the neck."""
    heart_rng, vessel_rng, tube_rng, lung_rng = rng.spawn(4)
    box = breathe(frame.cage.box, patient)
    heart = sample_heart(patient, heart_rng)
    vessels = ChestVessels(box.crop(*CHEST_VESSELS), heart, trunk.arms, vessel_rng)
    near_heart = box.crop(*HEART)
    inside = np.maximum(frame.cage.wall + np.float32(_WALL_MM), cut(body, trunk.cavity, *CHEST) + 1)
    chambers = measure_heart(near_heart, heart, cut(box, inside, *HEART) + 3)
    central = box.crop(*_CENTRAL)
    tubes = _measure_tubes(central, tube_rng)
    content = np.full_like(box.x, FAR_MM)  # distance to what the mediastinum contains
    fluid = np.minimum.reduce(list(chambers.values())) - np.float32(heart.fluid_mm)
    _join(box, content, HEART, fluid - np.float32(2.5 + 5 * patient.visceral))
    _join(box, content, CHEST_VESSELS, vessels.nearest() - 3)
    _join(box, content, _CENTRAL, np.minimum.reduce(list(tubes.values())) - 2)
    mediastinum = np.full_like(box.x, FAR_MM)
    shape = _measure_mediastinum(central, frame, patient, cut(box, content, *_CENTRAL), tube_rng)
    _join(box, mediastinum, _CENTRAL, shape)
    dome = cut(body, trunk.dome, *CHEST)
    fat = np.maximum(np.maximum(inside, mediastinum), np.maximum(1 - dome, 0.5 * (box.z - 345)))
    box.paint(fat, "visceral_fat", 5 * box.field(lung_rng, 12))
    box.paint(np.maximum(np.maximum(inside, dome - 3), -dome), "muscle")
    lung = smooth_max(smooth_max(inside, 3 - dome, 5), 1 - mediastinum, 5)
    _paint_lungs(box, lung, patient, lung_rng)
    near_heart.paint(fluid, "effusion", 6)
    paint_heart(near_heart, chambers, heart_rng)
    vessels.paint()
    _paint_tubes(central, tubes, tube_rng)
    _add_thyroid(central, patient, tube_rng)


def _join(box: Region, distance: np.ndarray, corners: tuple[Corner, Corner], shape: np.ndarray) -> None:
    """Add a shape, measured in the part of a box between two corners, to a union of shapes in the box."""
    view = cut(box, distance, *corners)
    np.minimum(view, shape, out=view)


def _measure_mediastinum(
    central: Region, frame: Frame, patient: SyntheticPatient, content: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Distance to the mediastinum: its content, the fat around it and behind the breastbone, and the spine."""
    wide = float(rng.normal(0.8 + 0.4 * patient.visceral, 0.12))
    pads = [float(rng.uniform(8, 16) + 16 * patient.visceral) for _ in range(2)]
    middle_x, middle_y = frame.spine.at(central.axes[2])
    x, y = central.x - middle_x, central.y - middle_y
    spine = np.interp(central.axes[2], (30, 120, 230, 330), (27, 22, 19, 22)).astype(np.float32)
    column = np.where(y > 0, np.hypot(x, y), np.abs(x)) - spine
    half_width = np.interp(central.axes[2], _BAND[:, 0], _BAND[:, 1]).astype(np.float32) * np.float32(wide)
    band = np.abs(central.x + np.float32(0.03) * central.y) - half_width
    shape = smooth_min(smooth_min(column, band, 8), content, 9)
    for center, size in zip(((36, 92, 84), (-64, 92, 88)), pads, strict=True):  # fat pads beside the heart
        shape = smooth_min(shape, ellipsoid(central, center, (size, 0.8 * size, 0.8 * size)), 8)
    return shape


def _paint_lungs(box: Region, lung: np.ndarray, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Paint lungs, which are denser in their lowest parts, with vessels and sometimes emphysema or tumours."""
    breath = float(rng.normal(0, 12)) - 2.5 * patient.breath_mm  # air makes lungs dark
    emphysema = float(rng.uniform(20, 90)) if rng.random() < 0.25 and patient.age > 50 else 0.0
    patchy = box.field(rng, 9)
    offset = (25 + 0.4 * emphysema) * patchy - np.float32(0.4) * (box.height - 20) + np.float32(breath - emphysema / 2)
    box.paint(lung, "lung", offset)
    dependent = float(rng.uniform(0, 14)) if rng.random() < 0.5 else 0.0  # atelectasis of the lowest few mm
    haze = np.maximum(lung, box.height + 52 - dependent + 8 * patchy) if dependent else lung + FAR_MM
    box.paint(haze, "lung", offset + 250 + 100 * patchy)
    _add_lung_vessels(box, lung, rng)
    lumps = int(rng.integers(1, 5)) if rng.random() < 0.12 else 0
    for _ in range(lumps):
        center = np.array((rng.choice((-1, 1)) * rng.uniform(45, 115), rng.uniform(-55, 90), rng.uniform(70, 270)))
        radius = float(np.clip(np.exp(rng.normal(2.0, 0.6)), 3, 40))
        low, high = center - radius - 5, center + radius + 5
        near, around = box.crop(low, high), cut(box, lung, low, high)
        rough = 0.18 * radius * near.field(rng, max(radius, 4))
        near.paint(np.maximum(ellipsoid(near, center, (radius,) * 3) + rough, around), "lung_mass")


def _add_lung_vessels(box: Region, lung: np.ndarray, rng: np.random.Generator) -> None:
    """Add arteries and veins from the hilum in all directions; each forks once."""
    air = replace(box, free=lung)
    for number in range(40):
        side = 1 if number % 2 else -1
        start = _HILA[side] + rng.normal(0, (4, 8, 14))
        direction = rng.normal(0, 1, 3) * (0.7, 0.9, 1) + (0.75 * side, -0.15, -0.3)
        direction /= np.linalg.norm(direction)
        reach, radius = rng.uniform(55, 130), rng.uniform(2.2, 4.8)
        fork = start + 0.45 * reach * direction + rng.normal(0, 5, 3)
        ends = start + reach * (direction + rng.normal(0, 0.22, (2, 3)))
        path = np.array([start, fork, ends[0], fork, ends[1]])
        part = air.crop(path.min(0) + 8, path.max(0) - 8)
        vessel = tube(part, path, np.array((1, 0.62, 0.2, 0.62, 0.2)) * radius)
        part.paint(np.maximum(vessel, part.free + 2), "lung_vessel")


def _measure_tubes(central: Region, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Distances to the windpipe with the bronchi, and to the oesophagus."""
    shift = np.array((*rng.normal(0, 1.5, 2), 0))
    wide = float(rng.normal(1, 0.1))
    path = curve(_TRACHEA + shift, 20)
    windpipe = tube(central, path, np.full(len(path), 9.5 * wide))
    for points, ends in _BRONCHI:
        path = curve(np.array(points, dtype=float) + shift, 12)
        np.minimum(windpipe, tube(central, path, np.linspace(*ends, len(path)) * wide), out=windpipe)
    path = curve(_OESOPHAGUS + np.array((*rng.normal(0, 2, 2), 0)), 14)
    radii = 6.5 + 1.2 * np.sin(np.arange(len(path)) * 0.9 + rng.uniform(0, 6))
    return {"windpipe": windpipe, "oesophagus": tube(central, path, radii)}


def _paint_tubes(central: Region, tubes: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Paint the oesophagus, collapsed or with gas, and the airways."""
    gas = float(rng.uniform(-7, 3))  # distance of the gas from the middle, in mm
    patches = central.field(rng, 18)
    gullet, windpipe = tubes["oesophagus"], tubes["windpipe"]
    central.paint(gullet, "oesophagus")
    central.paint(np.maximum(gullet + 3, 3 * (0.6 - patches) - gas), "gas")
    central.paint(windpipe, "airway_wall")
    central.paint(windpipe + 1.5, "airway")


def _add_thyroid(central: Region, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the thyroid, sometimes with a goitre that reaches into the chest."""
    size = float(np.exp(rng.normal(0, 0.15)))
    if rng.random() < 0.06 and patient.age > 40:
        size *= float(rng.uniform(1.3, 2))
    for side in (-1, 1):
        lobe = ellipsoid(central, (side * (15 + 4 * size), 16, 328), np.array((7, 8, 20)) * size)
        central.paint(lobe + central.field(rng, 9), "thyroid", 12 * central.field(rng, 8))
    central.paint(ellipsoid(central, (0, 26, 320), np.array((11, 3, 7)) * size), "thyroid")
