"""Synthetic patients: body size, habitus, sex, position on the table, organs, contrast phase and HU of tissues."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.tissues import sample_hu, sample_phase

# Positions on the table with their shares, and the direction (x, y) that points up in each.
POSITIONS = {"supine": 0.93, "prone": 0.04, "right": 0.015, "left": 0.015}
UP = {"supine": (0.0, 1.0), "prone": (0.0, -1.0), "right": (-1.0, 0.0), "left": (1.0, 0.0)}

# Positions of the arms with their shares.
ARMS = {"up": 0.72, "down": 0.16, "belly": 0.07, "absent": 0.05}

# Standard deviation of an organ's volume between patients, as a share of its mean. These numbers and the sizes of the
# shapes were chosen to approximate the published mean ± standard deviation in mL of adults:
# liver: CT of 77 healthy adults, men 1710 ± 288 and women 1411 ± 263, quoted in Hogan et al. 2015, PMC4267913, table 2;
#        100 normal livers in India 1281 ± 219, Jasper 2019, doi:10.7860/JCDR/2019/41932.13038.
# spleen: 212 adults, Caglar et al. 2014, doi:10.5603/FM.2014.0038; 140 adults 215 (107 to 315), Prassopoulos et al.
#         1997, Eur Radiol 7:246.
# kidneys: parenchyma by MRI of 1815 adults, medians of women and men, J Clin Med 2024;13:769.
VOLUME_SPREAD = {"liver": 0.18, "spleen": 0.4, "kidney": 0.16}

# Share of patients of 55 years with a cirrhotic liver. It is larger than in life, so that networks see cirrhosis.
_CIRRHOTIC = 0.06


@dataclass(frozen=True)
class SyntheticPatient:
    """A patient sampled from the population.

    Attributes:
        phase: Contrast phase, a key of `tissues.PHASES`.
        hu: Mean HU of each tissue.
        female: Sex.
        age: In years. Children are smaller; old patients have less dense bones and calcified vessels.
        position: A key of POSITIONS: supine, prone, or lying on the right or left side.
        arms: A key of ARMS; absent: outside the field of view.
        scale: Size of the body along x, y, z relative to the average.
        subcutaneous_mm: Mean thickness of the fat under the skin.
        visceral: Fat between the organs, from 0 (none) to 1.
        breath_mm: How far the diaphragm lies below its mean height: most scans are made after a deep breath.
        organ: Length of liver, spleen, right_kidney and left_kidney relative to the average.
        absent: Organs that were removed by surgery.
        cirrhotic: Whether the liver is cirrhotic: it has nodules, and portal hypertension is frequent.
    """

    phase: str
    hu: dict[str, float]
    female: bool
    age: float
    position: str
    arms: str
    scale: tuple[float, float, float]
    subcutaneous_mm: float
    visceral: float
    breath_mm: float
    organ: dict[str, float]
    absent: frozenset[str]
    cirrhotic: bool

    @property
    def gap_mm(self) -> float:
        """Thickness of the fat plane between two organs; 0 in thin patients and children, whose organs touch."""
        return max(0.0, 6.5 * self.visceral - 0.8)


def sample_patient(rng: np.random.Generator) -> SyntheticPatient:
    """Sample a patient: one in twelve is a child."""
    age = float(rng.uniform(3, 16)) if rng.random() < 0.08 else float(np.clip(rng.normal(60, 15), 17, 95))
    grown = min(1.0, 0.52 + 0.03 * age)  # size relative to an adult
    habitus = float(rng.beta(2, 2.5))  # 0 thin … 1 obese
    if grown == 1 and rng.random() < 0.06:
        habitus = float(rng.uniform(1, 1.8))  # very obese
    female = bool(rng.random() < 0.5)
    size = grown * float(rng.normal(0.97 if female else 1.02, 0.04))
    phase = sample_phase(rng)
    hu = sample_hu(rng, phase)
    hu["spongiosa"] = max(40.0, hu["spongiosa"] - 1.2 * (age - 55))
    width = 0.94 + 0.16 * min(habitus, 1.3)
    depth = size * width * float(rng.normal(1, 0.03))
    return SyntheticPatient(
        phase=phase,
        hu=hu,
        female=female,
        age=age,
        position=_choose(rng, POSITIONS),
        arms=_choose(rng, ARMS),
        scale=(size * width, depth, size * float(rng.normal(1, 0.03))),
        subcutaneous_mm=float(5 + 38 * habitus * rng.uniform(0.6, 1.2)) * (0.6 if age < 16 else 1),
        visceral=float(np.clip(habitus + rng.normal(0, 0.2), 0, 1)) * (0.3 if age < 16 else 1),
        organ=_organ_scales(rng, width),
        absent=_sample_absent(rng),
        breath_mm=_sample_breath(rng),
        cirrhotic=bool(rng.random() < _CIRRHOTIC * min(2.0, max(0.1, age / 55))),
    )


def _choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _sample_absent(rng: np.random.Generator) -> frozenset[str]:
    """Sample a nephrectomy of one side, and a splenectomy."""
    kidney, spleen = rng.random(2)
    absent = set()
    if kidney < 0.035:
        absent.add("right_kidney")
    elif kidney < 0.07:
        absent.add("left_kidney")
    if spleen < 0.04:
        absent.add("spleen")
    return frozenset(absent)


def _sample_breath(rng: np.random.Generator) -> float:
    """Sample `SyntheticPatient.breath_mm`: one scan in ten is made in expiration, and the depth of a breath varies."""
    deep, expired, high = rng.normal(5, 9), rng.random() < 0.1, rng.uniform(-20, -8)
    return float(high if expired else np.clip(deep, -18, 20))


def _organ_scales(rng: np.random.Generator, width: float) -> dict[str, float]:
    def length(name: str) -> float:
        spread = VOLUME_SPREAD[name]
        return float(np.exp(np.clip(rng.normal(0, spread), -2.2 * spread, 2.2 * spread) / 3))

    kidney = length("kidney") / width**0.5
    return {
        "liver": length("liver"),  # grows with the body, as in published formulae
        "spleen": length("spleen") / width**0.5,
        "right_kidney": kidney * float(rng.normal(1, 0.02)),
        "left_kidney": kidney * float(rng.normal(1.01, 0.02)),
    }
