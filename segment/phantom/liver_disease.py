"""Diseases of the liver and the gallbladder. `lesions` states what the label includes."""

import numpy as np

from segment.phantom.lesions import Layer, add_lesion, sample_centers, sample_in_organ, sample_number, sample_radii
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import FAR_MM, ellipsoid, sample, tube
from segment.phantom.tissues import CODES

_LIVER_CORNERS = (-110.0, -80, -130), (145.0, 130, 135)  # in mm, of a box that holds most livers
_GALLBLADDER = (48.0, 58, -14), (24.0, 34, 40)

# Share of patients with each disease. 18 % have cysts (CT of 617 patients, Carrim and Murchison 2003,
# doi:10.1016/S0009-9260(03)00165-X). Rare diseases are more frequent than in life, so that networks see them.
_LIVER = {"cysts": 0.18, "haemangiomas": 0.07, "metastases": 0.09, "hypervascular": 0.03, "tumour": 0.04}
_LIVER |= {"uneven fat": 0.06, "granulomas": 0.05, "bile ducts": 0.03}
_GALLSTONES = 0.15
_KINDS = {  # lesions: mean number, most, median radius, spread, largest radius
    "haemangiomas": (1.6, 6, 9.0, 0.5, 45.0),
    "metastases": (8.0, 40, 8.0, 0.5, 35.0),
    "hypervascular": (2.5, 12, 10.0, 0.5, 40.0),
    "tumour": (1.0, 1, 42.0, 0.3, 75.0),
    "granulomas": (3.0, 15, 2.0, 0.3, 5.0),
}


def add_liver_disease(body: Region, patient: SyntheticPatient, polycystic: bool, rng: np.random.Generator) -> None:
    """Add disease to the finished liver; `polycystic` adds many cysts, as in polycystic kidney disease."""
    has = dict(zip(_LIVER, rng.random(len(_LIVER)), strict=True))
    streams = dict(zip(_LIVER, rng.spawn(len(_LIVER)), strict=True))
    old = min(2.0, max(0.1, patient.age / 55))
    present = set()
    for name, share in _LIVER.items():
        by_age = 1 if name == "uneven fat" else old
        if has[name] < share * by_age:
            present.add(name)
    if "uneven fat" in present or patient.cirrhotic:
        _add_uneven_liver(body, patient.cirrhotic, streams["uneven fat"])
    if "cysts" in present or polycystic:
        _scatter_liver_cysts(body, polycystic, streams["cysts"])
    for name, (mean, most, median, spread, largest) in _KINDS.items():
        if name not in present:
            continue
        stream = streams[name]
        number = sample_number(stream, mean, most)
        radii = sample_radii(stream, median, spread, largest, number)
        for center, radius in zip(_liver_centers(body, stream, number), radii, strict=False):
            add_lesion(body, "liver", center, radius, _liver_layers(name, radius, patient.phase, stream), stream)
    if "bile ducts" in present:
        _widen_bile_ducts(body, streams["bile ducts"])


def _liver_centers(body: Region, rng: np.random.Generator, number: int) -> np.ndarray:
    return sample_in_organ(body, "liver", _LIVER_CORNERS, rng, number)


def _scatter_liver_cysts(body: Region, polycystic: bool, rng: np.random.Generator) -> None:
    number = 45 if polycystic else sample_number(rng, 2.5, 15)
    centers = _liver_centers(body, rng, number)
    for center, radius in zip(centers, sample_radii(rng, 7, 0.7, 55, number), strict=False):
        add_lesion(body, "liver", center, radius, [(0, "cyst", float(rng.uniform(-2, 6)))], rng, 0.06)


def _liver_layers(kind: str, radius: float, phase: str, rng: np.random.Generator) -> list[Layer]:
    """Layers of a lesion of a kind of _KINDS, for `add_lesion`."""
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
    """Add dilated bile ducts beside the portal veins; in a quarter of the patients they contain gas."""
    content = "gas" if rng.random() < 0.25 else "bile"
    root = np.array((30.0, 50, 30))
    part = body.crop((-80, -60, -60), (140, 110, 120))
    ducts = np.full_like(part.x, FAR_MM)
    for center in _liver_centers(body, rng, 14):
        path = np.array([root, (root + center) / 2 + rng.normal(0, 8, 3), center])
        ducts = np.minimum(
            ducts,
            tube(part, path, np.array((3.6, 2.4, 1.2)) * rng.uniform(0.7, 1.3) * (0.6 if content == "gas" else 1)),
        )
    part.paint(np.where(part.label == LABELS["liver"], ducts, FAR_MM), content)


def add_gallstones(body: Region, rng: np.random.Generator) -> None:
    """Add stones at the lowest place of the gallbladder: calcified, or barely denser or lighter than bile."""
    present, own = rng.random() < _GALLSTONES, rng.spawn(1)[0]
    part = body.crop((20, 20, -60), (80, 100, 25))
    bile = part.tissue == CODES["bile"]
    if not present or not bile.any():
        return
    points = sample_centers(own, _GALLBLADDER, 120)
    places = points[sample(part, bile, points, 0) > 0]
    places = places[np.argsort(places[:, :2] @ np.array(part.up), kind="stable")]
    number, kind = sample_number(own, 4, 25), own.random()
    offset = 600.0 if kind < 0.25 else 0.0
    for center, radius in zip(places[:number], sample_radii(own, 4, 0.5, 14, number), strict=False):
        near = part.crop(center - radius, center + radius)
        stone = np.where(near.tissue == CODES["bile"], ellipsoid(near, center, (radius,) * 3), FAR_MM)
        near.paint(stone, "gallstone", offset)
