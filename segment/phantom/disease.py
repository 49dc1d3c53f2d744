"""Disease of the organs: cysts, tumours, infarcts, stones, fat and calcification, and enlarged lymph nodes.

Rule for the label: a lesion inside an organ keeps the organ's label, as the annotators of public sets of liver, kidney
and spleen do. The part of a lesion that bulges out of the organ has no label, except in polycystic kidneys, whose cysts
are the organ. Fluid in a dilated renal pelvis is outside the kidney, like the fat and urine of a normal sinus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from segment.phantom.devices import add_devices
from segment.phantom.fluids import add_fluids
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import FAR_MM, ellipsoid, sample, smooth_min, tube
from segment.phantom.tissues import CODES
from segment.phantom.trunk import Trunk

# Boxes in which the organs lie: middle and half widths in mm. Centres of lesions are sampled in them.
_RIGHT_LOBE = (70.0, 16, 28), (72.0, 78, 90)
_LEFT_LOBE = (6.0, 64, 56), (60.0, 40, 36)
_KIDNEYS = {"right_kidney": ((60.0, -8, -34), (32.0, 34, 62)), "left_kidney": ((-60.0, -8, -22), (32.0, 34, 62))}
_SPLEEN = (-94.0, -14, 44), (40.0, 48, 62)

# Share of patients with each disease. Cysts: 41 % of patients have them in the kidneys, 18 % in the liver, both more
# with age (CT of 617 patients, Carrim and Murchison 2003, doi:10.1016/S0009-9260(03)00165-X). What is rare in life is
# more frequent here, because a network must have seen it.
_LIVER = {"cysts": 0.18, "haemangiomas": 0.07, "metastases": 0.09, "hypervascular": 0.03, "tumour": 0.04}
_LIVER |= {"uneven fat": 0.06, "granulomas": 0.05, "bile ducts": 0.03, "cirrhosis": 0.06}
_KIDNEY = {"tumour": 0.02, "fatty tumour": 0.015, "stones": 0.06, "hydronephrosis": 0.035}  # of each kidney
_POLYCYSTIC = 0.01
_SPLENIC = {"cysts": 0.03, "nodules": 0.03, "infarcts": 0.025, "granulomas": 0.05}
_GALLSTONES, _ADENOMA, _LYMPH_NODES = 0.15, 0.05, 0.14


@dataclass(frozen=True)
class Findings:
    """Diseases that decide about the anatomy before it is drawn.

    Attributes:
        portal_hypertension: Wide portal veins and varices.
        ascites_mm: Mean thickness of the layer of fluid at the wall of the abdomen; 0 for none.
    """

    portal_hypertension: bool
    ascites_mm: float


def sample_findings(rng: np.random.Generator) -> Findings:
    """Sample portal hypertension in 5 % of the patients, and ascites in 5 % of the others but 60 % of those."""
    portal, fluid = rng.random(2)
    thickness = float(np.exp(rng.normal(np.log(7), 0.6)))
    portal_hypertension = bool(portal < 0.05)
    return Findings(portal_hypertension, thickness if fluid < (0.6 if portal_hypertension else 0.05) else 0.0)


def add_disease(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Change the finished anatomy."""
    liver, kidneys, spleen, rest, fluids, devices = rng.spawn(6)
    polycystic = bool(rng.random() < _POLYCYSTIC)
    _add_liver_disease(body, patient, polycystic, liver)
    for name in _KIDNEYS:
        _add_kidney_disease(body, patient, name, polycystic, kidneys)
    _add_spleen_disease(body, spleen)
    _add_gallstones(body, rest)
    _add_adrenal_mass(body, rest)
    _add_lymph_nodes(body, rest)
    add_fluids(body, trunk, patient, fluids)
    add_devices(body, trunk, patient, devices)


def _number(rng: np.random.Generator, mean: float, most: int) -> int:
    """A number of lesions: one in most patients, many in some."""
    return int(min(rng.geometric(1 / mean), most))


def _centers(rng: np.random.Generator, box: tuple[Sequence[float], Sequence[float]], number: int) -> np.ndarray:
    """Random points (number,3) in an ellipsoid."""
    direction = rng.normal(0, 1, (number, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray(box[0]) + direction * rng.random((number, 1)) ** (1 / 3) * np.asarray(box[1])


def _radii(rng: np.random.Generator, median_mm: float, spread: float, most_mm: float, number: int) -> np.ndarray:
    return np.exp(rng.normal(np.log(median_mm), spread, number)).clip(1.5, most_mm)


def _add_lesion(
    body: Region,
    organ: str,
    center: np.ndarray,
    radius: float,
    layers: Sequence[tuple[float, str, float]],
    rng: np.random.Generator,
    bumpy: float = 0.12,
    outside: bool = False,
) -> None:
    """Add a lesion to the part of an organ that it covers.

    Args:
        body: The region to add it to.
        organ: A key of LABELS.
        center: Centre in anatomical mm.
        radius: Mean radius in mm.
        layers: From the surface to the middle: depth in mm, tissue, offset in HU.
        rng: Random numbers for its form.
        bumpy: Deviation from a ball as a share of the radius.
        outside: It also displaces the fat around the organ, without label.
    """
    radii, seed = radius * rng.normal(1, 0.1, 3), rng.spawn(1)[0]
    part = body.crop(center - 1.4 * radius, center + 1.4 * radius)
    if not part.x.size:
        return
    room = part.label == LABELS[organ]
    if not room.any():
        return
    if outside:
        room |= (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["urine"]))
    form = ellipsoid(part, center, radii) + np.float32(bumpy * radius) * part.field(seed, max(4.0, radius))
    for depth, tissue, offset in layers:
        part.paint(np.where(room, form + np.float32(depth), FAR_MM), tissue, offset + 3 * part.field(seed, 6))


def _add_liver_disease(body: Region, patient: SyntheticPatient, polycystic: bool, rng: np.random.Generator) -> None:
    has = dict(zip(_LIVER, rng.random(len(_LIVER)), strict=True))
    streams = dict(zip(_LIVER, rng.spawn(len(_LIVER)), strict=True))
    old = min(2.0, max(0.1, patient.age / 55))
    present = {name for name, share in _LIVER.items() if has[name] < share * (old if name != "uneven fat" else 1)}
    if "uneven fat" in present or "cirrhosis" in present:
        _add_uneven_liver(body, "cirrhosis" in present, streams["uneven fat"])
    if "cysts" in present or polycystic:
        _scatter_liver_cysts(body, polycystic, streams["cysts"])
    kinds = {  # mean number, most, median radius, spread, largest radius
        "haemangiomas": (1.6, 6, 9.0, 0.5, 45.0),
        "metastases": (7.0, 40, 8.0, 0.5, 35.0),
        "hypervascular": (2.5, 12, 10.0, 0.5, 40.0),
        "tumour": (1.0, 1, 42.0, 0.3, 75.0),
        "granulomas": (3.0, 15, 2.0, 0.3, 5.0),
    }
    for name, (mean, most, median, spread, largest) in kinds.items():
        if name not in present:
            continue
        stream = streams[name]
        number = _number(stream, mean, most)
        radii = _radii(stream, median, spread, largest, number)
        for center, radius in zip(_liver_centers(stream, number), radii, strict=True):
            _add_lesion(body, "liver", center, radius, _liver_layers(name, radius, patient.phase, stream), stream)
    if "bile ducts" in present:
        _widen_bile_ducts(body, streams["bile ducts"])


def _liver_centers(rng: np.random.Generator, number: int) -> np.ndarray:
    left = rng.random((number, 1)) < 0.25
    return np.where(left, _centers(rng, _LEFT_LOBE, number), _centers(rng, _RIGHT_LOBE, number))


def _scatter_liver_cysts(body: Region, polycystic: bool, rng: np.random.Generator) -> None:
    number = 45 if polycystic else _number(rng, 2.5, 15)
    for center, radius in zip(_liver_centers(rng, number), _radii(rng, 7, 0.7, 55, number), strict=True):
        _add_lesion(body, "liver", center, radius, [(0, "cyst", float(rng.uniform(-2, 6)))], rng, 0.06)


def _liver_layers(
    kind: str, radius: float, phase: str, rng: np.random.Generator
) -> list[tuple[float, str, float]]:
    """Layers of a lesion, as in _add_lesion, of a kind of _LIVER."""
    level, rim = float(rng.normal(0, 8)), float(rng.uniform(0.15, 0.5) * radius)
    if kind == "haemangiomas":  # filled from the edge to the middle
        filled = {"unenhanced": 0.0, "arterial": 0.25, "portal": 0.5, "delayed": 0.9}[phase] * radius
        edge = "hypodense_lesion" if phase == "unenhanced" else "enhancing_lesion"
        return [(0, edge, level), (filled, "hypodense_lesion", level)]
    if kind == "hypervascular":  # bright in arterial phase, washed out later
        late = {"portal": -35.0, "delayed": -40.0}.get(phase, 0.0)
        return [(0, "enhancing_lesion", level + late), (2 * rim, "hypodense_lesion", level)]
    if kind == "granulomas":
        return [(0, "calcification", 0.0)]
    layers = [(0.0, "enhancing_lesion", level - 40), (rim * 0.4, "hypodense_lesion", level)]
    dead = rng.random() < (0.35 if kind == "metastases" else 0.7)
    if dead:
        layers.append((0.3 * radius + rim, "cyst", float(rng.uniform(5, 22))))
    return layers if rng.random() < 0.6 else layers[1:]


def _add_uneven_liver(body: Region, cirrhosis: bool, rng: np.random.Generator) -> None:
    """Vary the liver's HU: nodules of cirrhosis, or fat that spares some parts."""
    part = body.crop((-115, -75, -130), (150, 135, 150))
    nodules, patches = part.field(rng, 9), part.field(rng, 45)
    strength = float(rng.uniform(4, 12)) if cirrhosis else float(rng.uniform(15, 45))
    change = np.maximum(nodules, -1) if cirrhosis else -1 / (1 + np.exp(np.clip(-6 * (patches - 0.3), -30, 30)))
    part.hu += np.where(part.tissue == CODES["liver"], strength * change, 0).astype(np.float32)


def _widen_bile_ducts(body: Region, rng: np.random.Generator) -> None:
    """Add dilated bile ducts beside the portal veins; now and then they contain gas."""
    content = "gas" if rng.random() < 0.25 else "bile"
    root = np.array((30.0, 50, 30))
    part = body.crop((-80, -60, -60), (140, 110, 120))
    ducts = np.full_like(part.x, FAR_MM)
    for center in _liver_centers(rng, 14):
        path = np.array([root, (root + center) / 2 + rng.normal(0, 8, 3), center])
        ducts = np.minimum(ducts, tube(part, path, np.array((3.6, 2.4, 1.2)) * rng.uniform(0.7, 1.3)))
    part.paint(np.where(part.label == LABELS["liver"], ducts, FAR_MM), content)


def _add_kidney_disease(
    body: Region, patient: SyntheticPatient, name: str, polycystic: bool, rng: np.random.Generator
) -> None:
    own = dict(zip((*_KIDNEY, "cysts"), rng.spawn(len(_KIDNEY) + 1), strict=True))
    has = dict(zip((*_KIDNEY, "cysts"), rng.random(len(_KIDNEY) + 1), strict=True))
    places = _points_in_organ(body, name, rng)
    if polycystic:
        _add_polycystic(body, name, own["cysts"])
    elif has["cysts"] < 0.007 * (patient.age - 12) * (0.8 if patient.female else 1.1):
        number = _number(own["cysts"], 2.0, 9)
        for center, radius in zip(places[:number], _radii(own["cysts"], 8, 0.65, 60, number), strict=False):
            dense = own["cysts"].random() < 0.1
            level = float(own["cysts"].uniform(25, 65)) if dense else float(own["cysts"].uniform(-3, 8))
            out = (center - _KIDNEYS[name][0]) * own["cysts"].uniform(0, 0.35)
            _add_lesion(body, name, center + out, radius, [(0, "cyst", level)], own["cysts"], 0.05, outside=True)
    for kind in ("tumour", "fatty tumour"):
        if has[kind] < _KIDNEY[kind] and len(places):
            _add_kidney_tumour(body, name, places[-1], kind, own[kind])
    if has["hydronephrosis"] < _KIDNEY["hydronephrosis"]:
        _widen_pelvis(body, name, own["hydronephrosis"])
    if has["stones"] < _KIDNEY["stones"]:
        _add_stones(body, name, own["stones"])


def _points_in_organ(body: Region, name: str, rng: np.random.Generator, number: int = 60) -> np.ndarray:
    """Random points (N,3) of the organ, at most `number`; fewer where the organ is small or outside the scan."""
    points = _centers(rng, _KIDNEYS[name], number)
    return points[sample(body, body.label == LABELS[name], points, 0) > 0]


def _add_kidney_tumour(body: Region, name: str, center: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    if kind == "fatty tumour":  # angiomyolipoma
        layers = [(0.0, "visceral_fat", float(rng.uniform(0, 50)))]
        _add_lesion(body, name, center, float(_radii(rng, 7, 0.5, 30, 1)[0]), layers, rng, outside=True)
        return
    radius = float(_radii(rng, 20, 0.45, 55, 1)[0])
    layers = [(0.0, "enhancing_lesion", float(rng.normal(-20, 20)))]
    if radius > 18:
        layers.append((radius * float(rng.uniform(0.3, 0.7)), "cyst", float(rng.uniform(8, 25))))
    out = (center - _KIDNEYS[name][0]) * 0.3
    _add_lesion(body, name, center + out, radius, layers, rng, 0.15, outside=True)


def _add_polycystic(body: Region, name: str, rng: np.random.Generator) -> None:
    """Replace a kidney by cysts of all sizes, which also enlarge it; they count as kidney."""
    middle, half = _KIDNEYS[name]
    box = middle, np.array(half) * rng.uniform(1.0, 1.5)
    for center, radius in zip(_centers(rng, box, 55), _radii(rng, 9, 0.5, 32, 55), strict=True):
        part = body.crop(center - radius, center + radius)
        room = (part.label == LABELS[name]) | ((part.label == 0) & (part.tissue == CODES["visceral_fat"]))
        cyst = np.where(room, ellipsoid(part, center, (radius,) * 3), FAR_MM)
        part.paint(cyst, "cortex", organ=name)
        part.paint(cyst + 1.2, "cyst", float(rng.choice((0, 5, 40), p=(0.5, 0.35, 0.15))))


def _widen_pelvis(body: Region, name: str, rng: np.random.Generator) -> None:
    """Widen the renal pelvis and the calyces, up to a bag of urine in a thin rim of cortex."""
    middle, half = _KIDNEYS[name]
    part = body.crop(np.array(middle) - 85, np.array(middle) + 85)
    rim_mm, wide, lumps = float(rng.uniform(3, 13)), float(rng.uniform(0.5, 1.1)), part.field(rng, 11)
    kidney = part.label == LABELS[name]
    if not kidney.any():
        return
    step = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in part.axes]
    filled = ndimage.binary_closing(kidney, iterations=max(1, round(8 / min(step[:2]))))
    depth = ndimage.distance_transform_edt(filled, sampling=step).astype(np.float32)
    inside = np.where(filled, rim_mm + 3 * (1 - wide) * np.maximum(lumps, 0) - depth, FAR_MM)
    owned = kidney | np.isin(part.tissue, (CODES["urine"], CODES["visceral_fat"]))
    pelvis = np.where(owned, inside, FAR_MM)
    part.paint(pelvis, "urine")
    part.label[(pelvis < 0) & kidney] = 0


def _add_stones(body: Region, name: str, rng: np.random.Generator) -> None:
    """Add stones to calyces and pelvis: up to 10 mm, or a cast of the pelvis."""
    points = _centers(rng, (_KIDNEYS[name][0], (18.0, 20, 36)), 80)
    places = points[sample(body, body.tissue == CODES["urine"], points, 0) > 0]
    number, cast = _number(rng, 1.8, 6), rng.random() < 0.06
    for center, radius in zip(places[:number], _radii(rng, 2.6, 0.5, 9, number), strict=False):
        radius = 12.0 if cast else radius
        part = body.crop(center - radius, center + radius)
        room = np.isin(part.tissue, (CODES["urine"], CODES["visceral_fat"], CODES["medulla"]))
        stone = ellipsoid(part, center, radius * rng.uniform(0.7, 1.2, 3)) + 0.3 * radius * part.field(rng, 7)
        part.paint(np.where(room, stone, FAR_MM), "stone")


def _add_spleen_disease(body: Region, rng: np.random.Generator) -> None:
    kinds = {  # mean number, most, median radius, spread, largest radius, tissue
        "cysts": (1.3, 4, 12.0, 0.6, 45.0, "cyst"),
        "nodules": (4.0, 20, 7.0, 0.5, 25.0, "hypodense_lesion"),
        "granulomas": (8.0, 40, 1.8, 0.3, 4.0, "calcification"),
    }
    for name, (mean, most, median, spread, largest, tissue) in kinds.items():
        own, present = rng.spawn(1)[0], rng.random() < _SPLENIC[name]
        if present:
            number = _number(own, mean, most)
            for center, radius in zip(
                _centers(own, _SPLEEN, number), _radii(own, median, spread, largest, number), strict=True
            ):
                _add_lesion(body, "spleen", center, radius, [(0, tissue, 0.0)], own, 0.08)
    if rng.random() < _SPLENIC["infarcts"]:
        _add_infarcts(body, rng)


def _add_infarcts(body: Region, rng: np.random.Generator) -> None:
    """Add wedges without blood at the surface of the spleen."""
    for _ in range(_number(rng, 1.5, 4)):
        direction = rng.normal(0, 1, 3) * (1, 1, 1.2)
        edge = np.array(_SPLEEN[0]) + direction / np.linalg.norm(direction) * _SPLEEN[1]
        inward = (np.array(_SPLEEN[0]) - edge) * rng.uniform(0.4, 0.8)
        part = body.crop(edge - 45, edge + 45)
        wedge = tube(part, np.array([edge, edge + inward]), np.array((rng.uniform(10, 22), 2.0)))
        part.paint(np.where(part.label == LABELS["spleen"], wedge, FAR_MM), "hypodense_lesion", -14.0)


def _add_gallstones(body: Region, rng: np.random.Generator) -> None:
    """Add stones at the lowest place of the gallbladder: calcified, or barely denser or lighter than bile."""
    present, own = rng.random() < _GALLSTONES, rng.spawn(1)[0]
    part = body.crop((20, 20, -60), (80, 100, 25))
    bile = part.tissue == CODES["bile"]
    if not present or not bile.any():
        return
    points = _centers(own, ((48.0, 58, -14), (24.0, 34, 40)), 120)
    places = points[sample(part, bile, points, 0) > 0]
    places = places[np.argsort(places[:, :2] @ np.array(part.up), kind="stable")]
    number, kind = _number(own, 4, 25), own.random()
    offset = 600.0 if kind < 0.25 else 0.0
    for center, radius in zip(places[:number], _radii(own, 4, 0.5, 14, number), strict=False):
        near = part.crop(center - radius, center + radius)
        stone = np.where(near.tissue == CODES["bile"], ellipsoid(near, center, (radius,) * 3), FAR_MM)
        near.paint(stone, "gallstone", offset)


def _add_adrenal_mass(body: Region, rng: np.random.Generator) -> None:
    """Add an adenoma or a metastasis to an adrenal, where there is room."""
    for side in (-1, 1):
        present, radius = rng.random() < _ADENOMA / 2, float(_radii(rng, 10, 0.4, 40, 1)[0])
        center = np.array((side * 31, 4, 14 if side > 0 else 6)) + rng.normal(0, 3, 3)
        level = float(rng.uniform(-45, 15))
        part = body.crop(center - radius, center + radius)
        if present:
            mass = ellipsoid(part, center, radius * np.array((1, 0.9, 1.1)))
            free = (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["adrenal"]))
            part.paint(np.where(free, mass, FAR_MM), "adrenal", level)


def _add_lymph_nodes(body: Region, rng: np.random.Generator) -> None:
    """Add a few small nodes to every patient, in the groins above all, and large ones along the vessels to some."""
    ill, bulky = rng.random() < _LYMPH_NODES, float(rng.uniform(4, 12))
    sites = [((0.0, 24, -60), (32.0, 18, 90)), ((0.0, 55, -60), (45.0, 22, 70)), ((46.0, 14, -200), (14.0, 30, 50))]
    sites += [((-46.0, 14, -200), (14.0, 30, 50)), ((70.0, 62, -285), (18.0, 14, 26)), ((-70.0, 62, -285), (18.0, 14, 26))]
    for site, groin in zip(sites, (False,) * 4 + (True,) * 2, strict=True):
        many = 14 if ill and not groin else 3
        nodes = zip(_centers(rng, site, many), _radii(rng, bulky if ill else 2.6, 0.35, 30, many), strict=True)
        for center, radius in nodes:
            part = body.crop(center - 1.3 * radius, center + 1.3 * radius)
            node = ellipsoid(part, center, radius * rng.uniform(0.7, 1.25, 3))
            fat = (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["fat"]))
            node = np.where(fat, node, FAR_MM)
            part.paint(node, "lymph_node")
            if groin:
                part.paint(node + 0.6 * radius, "fat")
