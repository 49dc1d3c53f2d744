"""Medical devices in or on a patient: clips, stents, screws, prostheses, ports, tubes, electrodes."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import curve, ellipsoid, sample, tube
from segment.phantom.trunk import Trunk

# Share of patients with each device: a guess for a hospital with many patients who are severely ill or had surgery.
_SHARES = {"clips": 0.06, "biliary stent": 0.02, "screws": 0.03, "hip": 0.05, "cement": 0.015, "port": 0.06}
_SHARES |= {"gastric tube": 0.05, "drain": 0.03, "electrodes": 0.2, "sternal wires": 0.04, "pacemaker": 0.025}
_CLIPS_AFTER_CHOLECYSTECTOMY = 0.6


def add_devices(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the devices of a patient. The streaks that metal causes are added by `scanner`."""
    numbers = dict(zip(_SHARES, rng.random(len(_SHARES)), strict=True))  # a device is present below its share
    streams = dict(zip(_SHARES, rng.spawn(len(_SHARES)), strict=True))
    _add_clips(body, patient, numbers["clips"] < _SHARES["clips"], streams["clips"])
    by_age = {"screws": 0.4 + patient.age / 100, "hip": max(0.0, patient.age - 45) / 20, "cement": patient.age / 60}
    inside = {"biliary stent": _add_biliary_stent, "screws": _add_screws, "hip": _add_hip, "cement": _add_cement}
    inside |= {"gastric tube": _add_gastric_tube}
    for name, add in inside.items():
        if numbers[name] < _SHARES[name] * by_age.get(name, 1):
            add(body, streams[name])
    near_skin = {"port": _add_port, "drain": _add_drain, "electrodes": _add_electrodes, "pacemaker": _add_pacemaker}
    near_skin |= {"sternal wires": _add_sternal_wires}
    for name, add_near_skin in near_skin.items():
        if numbers[name] < _SHARES[name]:
            add_near_skin(body, trunk, streams[name])


def surface_y(body: Region, distance: np.ndarray, x: float, z: float, front: int = 1) -> float:
    """The y in mm where a line from the middle to the front (1) or back (-1) leaves a shape; NaN outside the scan."""
    y = np.arange(0, 260, 2.0) * front + 10
    line = np.column_stack([np.full_like(y, x), y, np.full_like(y, z)])
    values = sample(body, distance, line, np.nan)
    outside = np.flatnonzero(values > 0)
    return float(y[outside[0]]) if len(outside) and not np.isnan(values[0]) else float("nan")


def _wire(body: Region, points: np.ndarray, radius: float, tissue: str, offset: float = 0.0) -> np.ndarray:
    """Paint a tube through points (N,3), and return its path. If a point is NaN, nothing is painted."""
    if np.isnan(points).any():
        return points
    path = curve(np.asarray(points, dtype=float), 8)
    part = body.crop(path.min(0) - radius - 2, path.max(0) + radius + 2)
    if part.x.size:
        part.paint(tube(part, path, np.full(len(path), radius)), tissue, offset)
    return path


def _add_clips(body: Region, patient: SyntheticPatient, along_vessels: bool, rng: np.random.Generator) -> None:
    """Add clips where an organ was removed, and `along_vessels` after another operation."""
    beds = {"right_kidney": (46, 6, -28), "left_kidney": (-46, 6, -18), "spleen": (-72, 4, 36)}
    places = [(beds[name], 5) for name in sorted(patient.absent) if name in beds]
    bed = body.crop((30, 35, -30), (62, 75, 12))
    removed = bool(bed.x.size) and not (body.label == LABELS["gallbladder"]).any()
    if rng.random() < _CLIPS_AFTER_CHOLECYSTECTOMY and removed:
        places.append(((38, 44, 2), 4))
    site = ((0, 30, -80), (40, 20, -200), (-40, 20, -200), (0, 60, 40), (-60, 40, 60))[int(rng.integers(5))]
    if along_vessels:
        places.append((site, 12))
    for place, number in places:
        for _ in range(number):
            start = np.array(place) + rng.normal(0, 7 if number < 12 else 18, 3)
            _wire(body, np.array([start, start + rng.normal(0, 3, 3)]), 0.9, "metal")


def _add_biliary_stent(body: Region, rng: np.random.Generator) -> None:
    path = np.array([(28, 50, 34), (30, 48, 8), (40, 42, -22), (50, 34, -40)]) + rng.normal(0, 3, 3)
    metal = rng.random() < 0.4
    path = _wire(body, path, 4.0 if metal else 2.0, "metal" if metal else "plastic", -1900.0 if metal else 150.0)
    _wire(body, path[::4], 3.0 if metal else 1.0, "bile")


def _add_screws(body: Region, rng: np.random.Generator) -> None:
    """Add pedicle screws in two to four lumbar vertebrae, and the rods that join them."""
    top, number = int(rng.integers(-3, 1)), int(rng.integers(2, 5))
    for side in (-1, 1):
        heads = []
        for level in range(top, top - number, -1):
            z = 32.0 * level
            heads.append((side * 23, -50, z))
            _wire(body, np.array([(side * 22, -48, z), (side * 18, -20, z), (side * 12, 6, z - 1)]), 2.8, "metal")
            _wire(body, np.array([(side * 23, -54, z), (side * 23, -46, z)]), 5.5, "metal")
        _wire(body, np.array(heads), 2.8, "metal")


def _add_hip(body: Region, rng: np.random.Generator) -> None:
    """Add a prosthesis of one hip or both: cup, head, neck and stem."""
    both, side = rng.random() < 0.25, int(rng.choice((-1, 1)))
    for n in (side, -side) if both else (side,):
        head = np.array((n * 88, 4, -245.0))
        part = body.crop(head - 30, head + 30)
        if part.x.size:
            ball = ellipsoid(part, head, (26, 26, 26))
            opening = n * (head[0] - part.x) - 8 - (part.z - head[2])
            part.paint(np.maximum(np.maximum(ball, -3.5 - ball), opening), "metal")
            part.paint(ellipsoid(part, head, (15, 15, 15)), "metal")
        _wire(body, np.array([head, (n * 104, -2, -262)]), 6.5, "metal")
        _wire(body, np.array([(n * 104, -2, -262), (n * 122, -2, -305), (n * 114, 3, -390)]), 6.5, "metal")


def _add_cement(body: Region, rng: np.random.Generator) -> None:
    """Add bone cement in a vertebra."""
    center = np.array((0, 0, 32.0 * int(rng.integers(-3, 4)))) + rng.normal(0, 3, 3)
    part = body.crop(center - 22, center + 22)
    if part.x.size:
        part.paint(ellipsoid(part, center, (14, 11, 9)) + 4 * part.field(rng, 7), "metal", -1500.0)


def _add_gastric_tube(body: Region, rng: np.random.Generator) -> None:
    points = [(0, 0, 340), (-4, 6, 250), (-8, 24, 190), (-10, 32, 90), (-30, 30, 76), (-56, 30, 46), (-44, 60, 8)]
    path = np.array(points, dtype=float)
    path[4:] += rng.normal(0, 5, (3, 3))
    _wire(body, path, 2.4, "plastic", float(rng.uniform(0, 300)))
    _wire(body, path, 1.0, "gas")


def _add_drain(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add a drain from the skin of a flank to the room around liver, spleen or pelvis."""
    end = np.array(((100, 30, -40), (-90, 30, 20), (10, -10, -215), (20, 60, 0))[int(rng.integers(4))], dtype=float)
    end += rng.normal(0, 8, 3)
    start_x, z = float(np.sign(end[0]) * rng.uniform(80, 110)), end[2] - 15
    skin = surface_y(body, trunk.skin, start_x, z)
    start = np.array((start_x * 1.15, skin + 20, z - 10))
    path = np.array([start, (start_x, skin, z), (np.array((start_x, skin, z)) + end) / 2 + rng.normal(0, 8, 3), end])
    _wire(body, path, 2.6, "plastic", 150.0)
    _wire(body, path, 1.2, "gas")


def _add_port(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add a port below the skin of the chest, with its catheter down to the heart."""
    side = 1 if rng.random() < 0.7 else -1
    x, z = side * float(rng.uniform(55, 85)), float(rng.uniform(205, 245))
    y = surface_y(body, trunk.skin, x, z) - 9
    center = np.array((x, y, z))
    if not np.isnan(y):
        part = body.crop(center - 18, center + 18)
        part.paint(ellipsoid(part, center, (13, 6.5, 13)), "metal", -1700.0)
        part.paint(ellipsoid(part, center, (7, 3.5, 7)), "plastic", -120.0)
    catheter = [center, (side * 45, 40, 275), (side * 24, 18, 262), (22, 22, 225), (20, 32, 170)]
    _wire(body, np.array(catheter), 1.3, "plastic", 500.0)


def _add_pacemaker(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add a pacemaker below the left collarbone and its lead to the right ventricle."""
    x, z = -float(rng.uniform(60, 90)), float(rng.uniform(215, 255))
    y = surface_y(body, trunk.skin, x, z) - 9
    center = np.array((x, y, z))
    if not np.isnan(y):
        part = body.crop(center - 32, center + 32)
        part.paint(ellipsoid(part, center, (24, 5, 22)), "metal")
    lead = [center, (-40, 30, 275), (0, 24, 250), (22, 26, 210), (20, 45, 140), (-14, 70, 112), (-34, 74, 108)]
    _wire(body, np.array(lead), 1.0, "metal")


def _add_sternal_wires(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add the wires that close a sternum after an operation of the heart."""
    for z in np.arange(120, 262, 24) + rng.normal(0, 2):
        y = surface_y(body, trunk.cage, 0, float(z)) - 6
        turn = np.linspace(0, 2 * np.pi, 9)
        _wire(body, np.column_stack([9 * np.cos(turn), y + 6 * np.sin(turn), z + 0 * turn]), 0.8, "metal")


def _add_electrodes(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add electrodes on the skin of the chest, or cables and lines that lie on the belly or beside it."""
    for x, z in ((80.0, 225.0), (-80, 225), (-95, 90), (85, 80))[: int(rng.integers(1, 5))]:
        y = surface_y(body, trunk.skin, x, z)
        center = np.array((x, y + 2, z)) + rng.normal(0, (8, 0, 8))
        if not np.isnan(y):
            part = body.crop(center - 14, center + 14)
            part.paint(ellipsoid(part, center, (11, 2.5, 11)), "plastic")
            part.paint(ellipsoid(part, center, (3, 3, 3)), "metal", -1000.0)
    x, stray = float(rng.uniform(-80, 80)), rng.normal(0, 18, 8)
    heights = np.linspace(230, -120, 8)
    line = [
        (x + dx, surface_y(body, trunk.skin, x + dx, float(z)) + 4, z) for dx, z in zip(stray, heights, strict=True)
    ]
    path = np.array([point for point in line if not np.isnan(point[1])])
    if len(path) > 1:
        _wire(body, path, 1.4, "plastic", float(rng.choice((0, 900))))
