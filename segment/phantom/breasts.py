"""Breasts: how they shape the skin, and the glandular tissue in their fat."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM, ellipsoid
from segment.phantom.subset import cut

_CENTER = np.array((84.0, 102.0, 172.0))  # of the right breast, on the muscles of the chest, in mm
_NORMAL = np.array((0.42, 0.9, -0.12))  # direction in which it points


@dataclass(frozen=True)
class Breast:
    """Half an ellipsoid on the muscles of the chest.

    Attributes:
        center: In mm.
        radii: Half axes in mm: out of the chest wall, to the side, to the head.
        turn: (3,3) directions of the half axes as rows.
        gland: Share of glandular tissue, from 0 to 1.
    """

    center: np.ndarray
    radii: np.ndarray
    turn: np.ndarray
    gland: float


def sample_breasts(patient: SyntheticPatient, rng: np.random.Generator) -> tuple[Breast, ...]:
    """Sample both breasts; a mastectomy leaves one. Boys and slim men have none, obese men have small ones of fat.

    A woman's breast has a median volume of about 500 mL, from 100 to 2000 mL; it is larger in obese women. These are
    our estimates. The share of glandular tissue falls with age.
    """
    volume_ml = 330 * np.exp(rng.normal(0, 0.5)) * (1 + patient.subcutaneous_mm / 35)
    if not patient.female:
        volume_ml = 5.0 * max(0.0, patient.subcutaneous_mm - 15)
    gland = float(np.clip(rng.beta(2, 2.5) - 0.006 * (patient.age - 45), 0.02, 0.9)) * patient.female
    removed = rng.choice((-1, 1)) if rng.random() < 0.03 and patient.age > 35 else 0
    sag, wide = rng.normal(0, 8, 2)
    breasts = []
    for side in (1, -1):
        size = float(volume_ml * rng.normal(1, 0.08))
        if side == removed or size < 40 or (patient.female and patient.age < 12):
            continue
        base = 49 * (size / 300) ** 0.28  # large breasts stand out more than they are wide
        out = min(size * 1000 / (2 / 3 * np.pi * base**2 * 1.15), 95.0)  # half an ellipsoid of this volume
        settled = np.array((0.25 * out + wide / 2, -0.25 * out, sag - 0.1 * out))  # large ones sink to the side
        center = (_CENTER + settled) * (side, 1, 1)
        normal = _NORMAL * (side, 1, 1) / np.linalg.norm(_NORMAL)
        head = np.array((0, 0, 1.0)) - normal[2] * normal
        head /= np.linalg.norm(head)
        turn = np.stack([normal, np.cross(head, normal), head])
        breasts.append(Breast(center, np.array((out, 1.15 * base, base)), turn, gland))
    return tuple(breasts)


def breast_surface(body: Region, breasts: Sequence[Breast]) -> np.ndarray:
    """Distance (I,J,K) in mm to the surface of the breasts, negative inside; FAR_MM away from them."""
    surface = np.full_like(body.x, FAR_MM)
    for breast in breasts:
        low, high = breast.center - 130, breast.center + 130
        part = replace(body, free=surface).crop(low, high)
        np.minimum(part.free, ellipsoid(part, breast.center, breast.radii, breast.turn), out=part.free)
    return surface


def add_breasts(body: Region, breasts: Sequence[Breast], lean: np.ndarray, rng: np.random.Generator) -> None:
    """Add glandular tissue in strands and islands, outside the muscles."""
    for breast, stream in zip(breasts, rng.spawn(len(breasts)), strict=True):
        low, high = breast.center - 100, breast.center + 100
        part = body.crop(low, high)
        islands = part.field(stream, 9)
        if not part.x.size:
            continue
        muscle = cut(body, lean, low, high)
        center = breast.center + 0.2 * breast.radii[0] * breast.turn[0]
        disc = ellipsoid(part, center, breast.radii * (0.62, 0.72, 0.72), breast.turn)
        gland = np.maximum(np.maximum(disc, 5 - muscle), 6 * (1.3 - 2.6 * np.float32(breast.gland) - islands))
        part.paint(gland, "breast")
