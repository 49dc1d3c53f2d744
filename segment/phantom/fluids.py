"""Abnormal fluid and gas: ascites, free air, pleural effusions, collapsed and inflamed lung, pneumothorax."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, ellipsoid
from segment.phantom.tissues import CODES
from segment.phantom.trunk import Trunk

_AIRY = [CODES[name] for name in ("lung", "lung_vessel", "airway")]


def add_ascites(body: Region, trunk: Trunk, thickness_mm: float, rng: np.random.Generator) -> None:
    """Add and claim ascites before the organs, which it keeps away from the wall of the abdomen.

    The layer is thick in the lowest parts, where the fluid collects, and at the bottom of the pelvis. There is none
    behind the peritoneum, where the kidneys lie.

    Args:
        body: The region to add it to.
        trunk: Wall and diaphragm.
        thickness_mm: Mean thickness of the layer; 0 for none.
        rng: Random numbers for its distribution.
    """
    if not thickness_mm:
        return
    uneven = body.field(rng, 45)
    full = thickness_mm * float(rng.uniform(2, 6))
    depth = np.minimum(-trunk.cavity, -trunk.dome)  # below the inner surface of the wall, in mm
    sink = 1 + np.clip((20 - body.height) / 70, -0.6, 1) + 0.3 * uneven
    retroperitoneum = np.where(body.z > -200, (np.float32(-0.35) - trunk.frontal) * 80, np.float32(-10))
    most = 15 + 30 * np.clip((-20 - body.z) / 50, 0, 1)  # beside the liver it is thinner than in the flanks
    layer = np.maximum(depth - np.minimum(np.float32(thickness_mm) * sink, most), retroperitoneum)
    pouch = np.maximum(body.z - (-255 + full), np.float32(-46) - body.y)
    fluid = np.maximum(np.minimum(layer, pouch), 1.5 - np.minimum(depth, body.free))
    body.paint(fluid, "ascites")
    body.occupy(fluid)


def add_fluids(
    body: Region, trunk: Trunk, patient: SyntheticPatient, ascites_mm: float, rng: np.random.Generator
) -> None:
    """Add everything except ascites at the wall to the finished anatomy.

    About 14 % of the patients have an effusion, 8 % inflamed lung.
    """
    inflamed, air, thorax = rng.random(3)
    lung_rng, air_rng = rng.spawn(2)
    upper = body.crop((-1e3, -1e3, -14), (1e3, 1e3, 1e3))
    if upper.x.size:
        wall, dome = (distance[..., -upper.x.shape[2] :] for distance in (trunk.cavity, trunk.dome))
        if inflamed < 0.08:
            _add_pneumonia(upper, lung_rng)
        _add_effusions(upper, wall, dome, patient, lung_rng)
        if thorax < 0.015:
            side, level = lung_rng.choice((-1, 1)), lung_rng.uniform(60, 100)
            free = np.maximum(level - upper.height, -side * upper.x)
            upper.paint(np.where(np.isin(upper.tissue, _AIRY), free, FAR_MM), "gas")
    if air < 0.03:
        _add_free_air(body, trunk, air_rng)
    if ascites_mm > 12:
        _fill_between_loops(body, trunk, ascites_mm, air_rng)


def _add_effusions(
    upper: Region, wall: np.ndarray, dome: np.ndarray, patient: SyntheticPatient, rng: np.random.Generator
) -> None:
    """Add crescents of fluid at the lowest place of each chest cavity, and the lung that collapses beside them."""
    effusion, both = rng.random(2)
    ill = 0.06 + 0.0018 * patient.age
    for side in (-1, 1):
        own, thick = rng.random(), float(np.clip(np.exp(rng.normal(np.log(16), 0.7)), 3, 75))
        collapse, reach = float(rng.uniform(3, 28)), float(rng.uniform(0.6, 1.3))
        if effusion > ill or (both > 0.6 and own < 0.5):
            continue
        edge = (upper.hu < -130) & (wall < 2) & (dome > -2) & (upper.label == 0) & (upper.tissue != CODES["gas"])
        lung = (np.isin(upper.tissue, _AIRY) | edge) & (upper.x * side > 0)
        level = -70 + 90 * reach + thick
        layer = np.float32(thick) * np.clip((level - upper.height) / 60, 0, 1)
        layer = layer * np.clip((240 - upper.z) / 130, 0, 1)  # least at the apex
        fluid = np.minimum(-wall, np.maximum(dome, 0) * 1.6) - layer
        beside = fluid - np.float32(collapse) * np.clip(layer / 12, 0, 1)
        lung &= layer > 1
        upper.paint(np.where(lung, beside, FAR_MM), "consolidation", 10 * upper.field(rng, 8))
        upper.paint(np.where(lung, fluid, FAR_MM), "effusion")


def _add_pneumonia(upper: Region, rng: np.random.Generator) -> None:
    """Add patches of inflamed lung: from ground glass to consolidation."""
    patches, fine = upper.field(rng, 40), upper.field(rng, 9)
    threshold, dense = rng.uniform(0.5, 1.6), float(rng.uniform(-600, 0))
    lung = upper.tissue == CODES["lung"]
    lesion = 12 * (threshold - patches) + 5 * fine
    upper.paint(np.where(lung, lesion, FAR_MM), "consolidation", dense + 60 * fine)


def _add_free_air(body: Region, trunk: Trunk, rng: np.random.Generator) -> None:
    """Add gas outside the bowel, at the top of the cavity and in bubbles."""
    depth_mm, level = rng.uniform(2, 14), float(rng.uniform(70, 92))
    fat = (body.tissue == CODES["visceral_fat"]) & (body.z > -230)
    layer = np.maximum(-trunk.cavity - np.float32(depth_mm), level - body.height)
    layer = np.maximum(layer, np.maximum(trunk.dome + 1, trunk.cavity + 2))
    bubbles = np.maximum(5 * (2.6 - body.field(rng, 7)), np.maximum(trunk.cavity + 5, trunk.dome + 3))
    body.paint(np.where(fat, np.minimum(layer, bubbles), FAR_MM), "gas")


def _fill_between_loops(body: Region, trunk: Trunk, ascites_mm: float, rng: np.random.Generator) -> None:
    """Fill the fat between the loops of bowel with much ascites, except for the mesentery in the middle."""
    level = float(rng.uniform(20, 80))
    middle = ellipsoid(body, (0, 50, -70), (34, 26, 75)) + 10 * body.field(rng, 30)
    gaps = np.maximum(12 - middle * (ascites_mm / 12), np.maximum(body.height - level, trunk.dome + 2))
    gaps = np.maximum(gaps, np.where(body.z > -200, (np.float32(-0.2) - trunk.frontal) * 60, -50 - body.y))
    gaps = np.maximum(gaps, np.maximum(trunk.cavity + 3, body.z - 40))
    body.paint(np.where(body.tissue == CODES["visceral_fat"], gaps, FAR_MM), "ascites")
