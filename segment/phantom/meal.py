"""The content of stomach and bowel: the meal before the scan, and the levels of the gas."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.shapes import FAR_MM


@dataclass(frozen=True)
class Meal:
    """What the patient drank before the scan.

    Attributes:
        positive: Whether it was positive oral contrast medium, which is then in stomach, small bowel or colon.
        water: Whether it was a lot of water or another negative contrast medium, which distends the small bowel.
        large: Whether the stomach is distended and pushes the liver aside.
        hu: HU of the contrast medium in the stomach.
    """

    positive: bool
    water: bool
    large: bool
    hu: float


def sample_meal(patient: SyntheticPatient, rng: np.random.Generator) -> Meal:
    """Sample a meal. Arterial phases, which show vessels, are rarely combined with positive contrast medium."""
    share = 0.1 if patient.phase == "arterial" else 0.35
    kind, hu = rng.random(), float(rng.uniform(90, 420))
    large = bool(rng.random() < 0.12)
    return Meal(positive=bool(kind < share), water=bool(kind > 0.88), large=large, hu=hu)


def heights_of(region: Region, points: np.ndarray) -> np.ndarray:
    """`Region.height` of points (N,3)."""
    return np.asarray(points[:, :2] @ np.array(region.up))


def gas_levels(
    heights: np.ndarray, radii: np.ndarray | np.float32, sections: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Height above which a bowel contains gas, at every point. It is constant in each section of the bowel.

    Args:
        heights: (N,) height of the points; NaN between two pieces.
        radii: Half width there, in mm.
        sections: (N,) ascending number of the section to which a point belongs.
        rng: Random numbers.
    """
    number = int(sections[-1]) + 1
    lowest, highest = np.full(number, FAR_MM), np.full(number, -FAR_MM)
    np.fmin.at(lowest, sections, heights - radii)
    np.fmax.at(highest, sections, heights + radii)
    full = rng.beta(1.6, 1.0, number)  # share of the height that is below the gas
    level: np.ndarray = (lowest + full * (highest - lowest))[sections]
    return level
