"""Disease, surgery and devices, added to the finished anatomy."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segment.phantom.breath import breathe
from segment.phantom.devices import add_devices, surface_y
from segment.phantom.fluids import add_fluids
from segment.phantom.kidney_disease import add_kidney_disease
from segment.phantom.kidneys import KidneyPlan
from segment.phantom.lesions import add_lesion, sample_centers, sample_in_organ, sample_number, sample_radii
from segment.phantom.liver_disease import add_gallstones, add_liver_disease
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import LABELS, Region
from segment.phantom.shapes import FAR_MM, curve, ellipsoid, tube
from segment.phantom.tissues import CODES
from segment.phantom.trunk import Trunk

# Corners in mm of a box that holds every spleen, however large.
_SPLEEN = (-150.0, -95, -110), (-20.0, 100, 130)

# Share of patients with each disease. Rare diseases are more frequent than in life, so that networks see them.
_SPLENIC = {"cysts": 0.03, "nodules": 0.03, "infarcts": 0.025, "granulomas": 0.05}
_POLYCYSTIC, _ADENOMA, _LYMPH_NODES, _UMBILICAL_HERNIA, _INGUINAL_HERNIA = 0.01, 0.05, 0.14, 0.06, 0.05


@dataclass(frozen=True)
class Findings:
    """Findings that influence the anatomy, so they are sampled before it is generated.

    Attributes:
        portal_hypertension: Wide portal veins and varices.
        ascites_mm: Mean thickness of the layer of fluid at the wall of the abdomen; 0 for none.
    """

    portal_hypertension: bool
    ascites_mm: float


def sample_findings(patient: SyntheticPatient, rng: np.random.Generator) -> Findings:
    """Sample portal hypertension in 60 % of cirrhotic patients and 1.5 % of the others, and ascites.

    60 % of the patients with portal hypertension have ascites, and 5 % of the others.
    """
    portal, fluid = rng.random(2)
    thickness = float(min(40.0, np.exp(rng.normal(np.log(11), 0.65))))
    portal_hypertension = bool(portal < (0.6 if patient.cirrhotic else 0.015))
    has_ascites = fluid < (0.6 if portal_hypertension else 0.05)
    return Findings(portal_hypertension, thickness if has_ascites else 0.0)


def add_disease(
    body: Region,
    trunk: Trunk,
    patient: SyntheticPatient,
    findings: Findings,
    kidneys: Mapping[str, KidneyPlan],
    rng: np.random.Generator,
) -> None:
    """Add disease to the finished anatomy; `kidneys` are those that were added, by name.

    Lesions move with the breath, as organs do; fluids and devices do not.
    """
    organs = breathe(body, patient)
    liver, renal, spleen, rest, fluids, devices = rng.spawn(6)
    polycystic = bool(rng.random() < _POLYCYSTIC)
    add_liver_disease(organs, patient, polycystic, liver)
    add_kidney_disease(organs, patient, kidneys, polycystic, renal)
    _add_spleen_disease(organs, spleen)
    add_gallstones(organs, rest)
    _add_adrenal_mass(organs, rest)
    _add_lymph_nodes(organs, rest)
    _add_hernias(body, trunk, patient, rest)
    add_fluids(body, trunk, patient, findings.ascites_mm, fluids)
    add_devices(body, trunk, patient, devices)


def _add_spleen_disease(body: Region, rng: np.random.Generator) -> None:
    kinds = {  # mean number, most, median radius, spread, largest radius, tissue
        "cysts": (1.3, 4, 12.0, 0.6, 45.0, "cyst"),
        "nodules": (4.0, 20, 7.0, 0.5, 25.0, "hypodense_lesion"),
        "granulomas": (8.0, 40, 1.8, 0.3, 4.0, "calcification"),
    }
    for name, (mean, most, median, spread, largest, tissue) in kinds.items():
        own, present = rng.spawn(1)[0], rng.random() < _SPLENIC[name]
        if present:
            number = sample_number(own, mean, most)
            centers = sample_in_organ(body, "spleen", _SPLEEN, own, number)
            for center, radius in zip(centers, sample_radii(own, median, spread, largest, number), strict=False):
                add_lesion(body, "spleen", center, radius, [(0, tissue, 0.0)], own, 0.08)
    if rng.random() < _SPLENIC["infarcts"]:
        _add_infarcts(body, rng)


def _add_infarcts(body: Region, rng: np.random.Generator) -> None:
    """Add wedges without perfusion at the surface of the spleen."""
    number = sample_number(rng, 1.5, 4)
    directions = rng.normal(0, 1, (number, 3))
    points = sample_in_organ(body, "spleen", _SPLEEN, rng, 60)
    if not len(points):
        return
    middle = points.mean(axis=0)
    for direction in directions:
        edge = points[np.argmax((points - middle) @ direction)]
        inward = (middle - edge) * rng.uniform(0.4, 0.8)
        part = body.crop(edge - 45, edge + 45)
        wedge = tube(part, np.array([edge, edge + inward]), np.array((rng.uniform(10, 22), 2.0)))
        part.paint(np.where(part.label == LABELS["spleen"], wedge, FAR_MM), "hypodense_lesion", -14.0)


def _add_adrenal_mass(body: Region, rng: np.random.Generator) -> None:
    """Add an adenoma or a metastasis to an adrenal, if there is room."""
    for side in (-1, 1):
        present, radius = rng.random() < _ADENOMA / 2, float(sample_radii(rng, 10, 0.4, 40, 1)[0])
        center = np.array((side * 31, 4, 14 if side > 0 else 6)) + rng.normal(0, 3, 3)
        level = float(rng.uniform(-45, 15))
        part = body.crop(center - radius, center + radius)
        if present:
            mass = ellipsoid(part, center, radius * np.array((1, 0.9, 1.1)))
            free = (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["adrenal"]))
            part.paint(np.where(free, mass, FAR_MM), "adrenal", level)


def _add_lymph_nodes(body: Region, rng: np.random.Generator) -> None:
    """Add a few small nodes to every patient, mostly in the groins, and large ones along the vessels to some."""
    ill, bulky = rng.random() < _LYMPH_NODES, float(rng.uniform(4, 12))
    along_vessels = [
        ((0.0, 24, -60), (32.0, 18, 90)),
        ((0.0, 55, -60), (45.0, 22, 70)),
        ((46.0, 14, -200), (14.0, 30, 50)),
        ((-46.0, 14, -200), (14.0, 30, 50)),
    ]
    in_groins = [((70.0, 62, -285), (18.0, 14, 26)), ((-70.0, 62, -285), (18.0, 14, 26))]
    for site in (*along_vessels, *in_groins):
        groin = site in in_groins
        many = 14 if ill and not groin else 3
        centers = sample_centers(rng, site, many)
        radii = sample_radii(rng, bulky if ill else 2.6, 0.35, 30, many)
        for center, radius in zip(centers, radii, strict=True):
            part = body.crop(center - 1.3 * radius, center + 1.3 * radius)
            node = ellipsoid(part, center, radius * rng.uniform(0.7, 1.25, 3))
            fat = (part.label == 0) & np.isin(part.tissue, (CODES["visceral_fat"], CODES["fat"]))
            node = np.where(fat, node, FAR_MM)
            part.paint(node, "lymph_node")
            if groin:
                part.paint(node + 0.6 * radius, "fat")


def _add_hernias(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add a hernia at the navel or in a groin: fat of the abdomen, sometimes with bowel, outside the wall."""
    navel, groin, wide, bowel = rng.random(4)
    side, shift = int(rng.choice((-1, 1))), rng.normal(0, 4, 3)
    if navel < _UMBILICAL_HERNIA:
        z = -92 + shift[2]
        y = surface_y(body, trunk.lean, 0, z)
        path = np.array([(0, y - 14, z), (0, y, z), (shift[0], y + 8 + 16 * wide, z)])
        _add_sac(body, path, np.array((7, 6, 7 + 16 * wide)), bool(bowel < wide / 2))
    if groin < _INGUINAL_HERNIA * (0.3 if patient.female else 1.7):
        path = np.array([(52, 40, -215), (46, 66, -240), (30, 80, -268), (22, 78, -310)]) * (side, 1, 1) + shift
        _add_sac(body, path, np.array((8, 8, 10 + 8 * wide, 12 + 12 * wide)), bool(bowel < wide / 2))


def _add_sac(body: Region, path: np.ndarray, radii: np.ndarray, bowel: bool) -> None:
    if np.isnan(path).any():
        return
    points = curve(np.column_stack([path, radii]), 6)
    part = body.crop(points[:, :3].min(0) - 30, points[:, :3].max(0) + 30)
    soft = np.isin(part.tissue, [CODES[name] for name in ("fat", "visceral_fat", "muscle", "skin")])
    sac = np.where(soft, tube(part, points[:, :3], points[:, 3]), FAR_MM)
    part.paint(sac, "muscle", -20)
    part.paint(sac + 1.5, "visceral_fat")
    if bowel:
        part.paint(sac + 4, "bowel_wall")
        part.paint(sac + 7, "bowel_fluid")
