"""Diseases of the kidneys: cysts, tumours, stones, dilated renal pelves. `lesions` states what the label includes."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from segment.phantom.kidneys import KidneyPlan
from segment.phantom.lesions import add_lesion, sample_centers, sample_number, sample_radii
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import FAR_MM, ellipsoid, sample
from segment.phantom.tissues import CODES

# Boxes in which the kidneys lie: middle and half widths in mm.
_KIDNEYS = {"right_kidney": ((60.0, -8, -34), (32.0, 34, 62)), "left_kidney": ((-60.0, -8, -22), (32.0, 34, 62))}

# Share of kidneys with each disease. Rare diseases are more frequent than in life, so that networks see them.
_KIDNEY = {"tumour": 0.02, "fatty tumour": 0.015, "stones": 0.06, "hydronephrosis": 0.035}

_LEAST_ML = 35.0  # parenchyma that is always left


def add_kidney_disease(
    body: Region,
    patient: SyntheticPatient,
    kidneys: Mapping[str, KidneyPlan],
    polycystic: bool,
    rng: np.random.Generator,
) -> None:
    """Change the finished kidneys; `kidneys` are those that were added, by name."""
    for name in _KIDNEYS:
        _change_kidney(body, patient, name, kidneys.get(name) if polycystic else None, rng)


def _change_kidney(
    body: Region, patient: SyntheticPatient, name: str, polycystic: KidneyPlan | None, rng: np.random.Generator
) -> None:
    own = dict(zip((*_KIDNEY, "cysts"), rng.spawn(len(_KIDNEY) + 1), strict=True))
    has = dict(zip((*_KIDNEY, "cysts"), rng.random(len(_KIDNEY) + 1), strict=True))
    places = _points_in_organ(body, name, rng)
    if polycystic is not None:
        _add_polycystic(body, name, polycystic, own["cysts"])
    elif has["cysts"] < 0.007 * (patient.age - 12) * (0.8 if patient.female else 1.1):
        _add_cysts(body, name, places, own["cysts"])
    for kind in ("tumour", "fatty tumour"):
        if has[kind] < _KIDNEY[kind] and len(places):
            _add_kidney_tumour(body, name, places[-1], kind, own[kind])
    if has["hydronephrosis"] < _KIDNEY["hydronephrosis"]:
        _widen_pelvis(body, patient, name, own["hydronephrosis"])
    if has["stones"] < _KIDNEY["stones"]:
        _add_stones(body, name, own["stones"])


def _add_cysts(body: Region, name: str, places: np.ndarray, rng: np.random.Generator) -> None:
    """Add simple cysts, some of which bulge out; one in ten is dense with blood or protein.

    41 % of patients have a cyst; the share is higher in men and rises with age (CT of 617 patients, Carrim and
    Murchison 2003, doi:10.1016/S0009-9260(03)00165-X).
    """
    number = sample_number(rng, 2.0, 9)
    for center, radius in zip(places[:number], sample_radii(rng, 8, 0.65, 60, number), strict=False):
        level = float(rng.uniform(25, 65) if rng.random() < 0.1 else rng.uniform(-3, 8))
        out = (center - _KIDNEYS[name][0]) * rng.uniform(0, 0.35)
        add_lesion(body, name, center + out, radius, [(0, "cyst", level)], rng, 0.05, outside=True)


def _points_in_organ(body: Region, name: str, rng: np.random.Generator, number: int = 60) -> np.ndarray:
    """Random points (N,3) of the organ, at most `number`; fewer if the organ is small or partly outside the scan."""
    points = sample_centers(rng, _KIDNEYS[name], number)
    return points[sample(body, body.label == LABELS[name], points, 0) > 0]


def _add_kidney_tumour(body: Region, name: str, center: np.ndarray, kind: str, rng: np.random.Generator) -> None:
    if kind == "fatty tumour":  # angiomyolipoma
        layers = [(0.0, "visceral_fat", float(rng.uniform(0, 50)))]
        add_lesion(body, name, center, float(sample_radii(rng, 7, 0.5, 30, 1)[0]), layers, rng, outside=True)
        return
    radius = float(sample_radii(rng, 20, 0.45, 55, 1)[0])
    layers = [(0.0, "enhancing_lesion", float(rng.normal(-20, 20)))]
    if radius > 18:
        layers.append((radius * float(rng.uniform(0.3, 0.7)), "cyst", float(rng.uniform(8, 25))))
    out = (center - _KIDNEYS[name][0]) * 0.3
    add_lesion(body, name, center + out, radius, layers, rng, 0.15, outside=True)


def _add_polycystic(body: Region, name: str, plan: KidneyPlan, rng: np.random.Generator) -> None:
    """Replace a kidney by cysts of all sizes, which also enlarge it; they count as kidney."""
    usual, half = _KIDNEYS[name]
    middle = usual if plan.kind == "normal" else plan.center
    box = middle, np.array(half) * rng.uniform(1.0, 1.5)
    for center, radius in zip(sample_centers(rng, box, 55), sample_radii(rng, 9, 0.5, 32, 55), strict=True):
        part = body.crop(center - radius, center + radius)
        room = (part.label == LABELS[name]) | ((part.label == 0) & (part.tissue == CODES["visceral_fat"]))
        cyst = np.where(room, ellipsoid(part, center, (radius,) * 3), FAR_MM)
        part.paint(cyst, "cortex", organ=name)
        part.paint(cyst + 1.2, "cyst", float(rng.choice((0, 5, 40), p=(0.5, 0.35, 0.15))))


def _widen_pelvis(body: Region, patient: SyntheticPatient, name: str, rng: np.random.Generator) -> None:
    """Widen the renal pelvis and the calyces, up to a bag of urine in a thin rim of cortex.

    The deepest voxels of the kidney become urine, so that a given share of the parenchyma is left; a rim of a given
    thickness in mm would vanish in a small kidney or in large voxels. In one of ten such kidneys, the end stage, less
    than 45 % is left.
    """
    rest = float(rng.uniform(0.28, 0.45) if rng.random() < 0.1 else rng.uniform(0.45, 0.85))
    wide, seed = float(rng.uniform(0.5, 1.0)), rng.spawn(1)[0]
    part = _crop_to_organ(body, name)
    kidney = part.label == LABELS[name]
    if not kidney.any():
        return
    step = [float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in part.axes]
    volume_ml = float(kidney.sum() * np.prod(step) * np.prod(patient.scale)) / 1000
    filled = ndimage.binary_closing(kidney, iterations=max(1, round(8 / min(step[:2]))))
    depth = ndimage.distance_transform_edt(filled, sampling=step).astype(np.float32)
    depth -= 3 * (1.2 - np.float32(wide)) * part.field(seed, 11)  # columns of cortex between the calyces
    rim_mm = np.quantile(depth[kidney], min(1.0, max(rest, _LEAST_ML / volume_ml)))
    owned = kidney | (filled & np.isin(part.tissue, (CODES["urine"], CODES["visceral_fat"])))
    pelvis = np.where(owned, np.float32(rim_mm) - depth, FAR_MM)
    part.paint(pelvis, "urine")
    part.label[(pelvis < 0) & kidney] = 0


def _crop_to_organ(body: Region, name: str) -> Region:
    """The box around an organ, wherever it lies, with a margin; empty if there is no such organ."""
    mask = body.label == LABELS[name]
    low, high = np.zeros(3), np.full(3, -1e3)
    for n, axis in enumerate(body.axes):
        planes = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {n})))
        if len(planes):
            low[n], high[n] = axis[planes[0]], axis[planes[-1]]
    return body.crop(low, high)


def _add_stones(body: Region, name: str, rng: np.random.Generator) -> None:
    """Add stones to calyces and pelvis: up to 10 mm, or a cast of the pelvis."""
    points = sample_centers(rng, (_KIDNEYS[name][0], (18.0, 20, 36)), 80)
    places = points[sample(body, body.tissue == CODES["urine"], points, 0) > 0]
    number, cast = sample_number(rng, 1.8, 6), rng.random() < 0.06
    for center, radius in zip(places[:number], sample_radii(rng, 2.6, 0.5, 9, number), strict=False):
        radius = 12.0 if cast else radius
        part = body.crop(center - radius, center + radius)
        room = np.isin(part.tissue, (CODES["urine"], CODES["visceral_fat"], CODES["medulla"]))
        stone = ellipsoid(part, center, radius * rng.uniform(0.7, 1.2, 3)) + 0.3 * radius * part.field(rng, 7)
        part.paint(np.where(room, stone, FAR_MM), "stone")
