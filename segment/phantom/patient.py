"""Synthetic patients: body size, habitus, organs, contrast phase, and the HU of tissues."""

from dataclasses import dataclass

import numpy as np

PHASES = {"unenhanced": 0.25, "arterial": 0.3, "portal": 0.45}

# Mean HU (unenhanced, arterial, portal venous) and standard deviation between patients in each phase.
# The values are based on measurements in three public CTs inside eroded TotalSegmentator labels: unenhanced liver 46,
# spleen 35, kidney 13-23, aorta 44, psoas 50, small bowel 24; arterial liver 75, spleen 178, kidney 196, aorta 395,
# vena cava 82, portal vein 175, pancreas 70; portal venous liver 91, spleen 81, vena cava 96, portal vein 137,
# aorta 180, pancreas 71; back muscles 14-40, vertebrae 120-320 with cortex, ribs 140-350, lung -840.
HU: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "liver": ((54, 74, 98), (8, 10, 12)),
    "spleen": ((46, 140, 110), (4, 22, 12)),
    "cortex": ((31, 185, 175), (4, 28, 22)),
    "medulla": ((28, 72, 150), (4, 14, 22)),
    "urine": ((4, 5, 8), (4, 4, 4)),
    "pancreas": ((38, 88, 84), (6, 14, 11)),
    "aorta": ((43, 330, 155), (4, 50, 16)),
    "vena_cava": ((42, 80, 140), (4, 18, 18)),
    "portal_vein": ((42, 120, 158), (4, 30, 16)),
    "hepatic_vein": ((42, 74, 148), (4, 10, 16)),
    "heart": ((42, 230, 135), (4, 40, 14)),
    "muscle": ((52, 58, 63), (6, 6, 6)),
    "bowel_wall": ((38, 82, 82), (6, 14, 12)),
    "stomach_wall": ((42, 78, 84), (6, 12, 12)),
    "bile": ((9, 9, 9), (6, 6, 6)),
    "fat": ((-104, -104, -104), (5, 5, 5)),
    "skin": ((45, 50, 55), (10, 10, 10)),
    "disc": ((85, 88, 90), (8, 8, 8)),
    "spongiosa": ((150, 160, 165), (40, 40, 40)),
    "cortical": ((520, 520, 520), (90, 90, 90)),
    "cartilage": ((112, 118, 122), (15, 15, 15)),
    "cord": ((32, 33, 34), (4, 4, 4)),
    "lung": ((-845, -845, -845), (25, 25, 25)),
}

# Standard deviation of an organ's volume between patients, as a share of its mean. These numbers and the sizes of the
# shapes were chosen to approximate the published mean ± standard deviation in mL of adults:
# liver: CT of 77 healthy adults, men 1710 ± 288 and women 1411 ± 263, quoted in Hogan et al. 2015, PMC4267913, table 2;
#        100 normal livers in India 1281 ± 219, Jasper 2019, doi:10.7860/JCDR/2019/41932.13038.
# spleen: 212 adults, Caglar et al. 2014, doi:10.5603/FM.2014.0038; 140 adults 215 (107 to 315), Prassopoulos et al.
#         1997, Eur Radiol 7:246.
# kidneys: parenchyma by MRI of 1815 adults, medians of women and men, J Clin Med 2024;13:769.
VOLUME_SPREAD = {"liver": 0.18, "spleen": 0.4, "kidney": 0.16}


@dataclass(frozen=True)
class SyntheticPatient:
    """A patient sampled from the population.

    Attributes:
        phase: Contrast phase, a key of PHASES.
        hu: HU of each tissue, by the keys of HU.
        scale: Size of the body along x, y, z relative to the average.
        subcutaneous_mm: Mean thickness of the fat under the skin.
        visceral: Fat between the organs, from 0 (none) to 1.
        organ: Length of liver, spleen, right_kidney and left_kidney relative to the average.
        absent: Organs that were removed by surgery.
    """

    phase: str
    hu: dict[str, float]
    scale: tuple[float, float, float]
    subcutaneous_mm: float
    visceral: float
    organ: dict[str, float]
    absent: frozenset[str]

    @property
    def gap_mm(self) -> float:
        """Thickness of the fat plane between two organs."""
        return 2.0 + 3.0 * self.visceral


def sample_patient(rng: np.random.Generator) -> SyntheticPatient:
    """Sample a patient."""
    habitus = float(rng.beta(2, 2.5))  # 0 thin … 1 obese
    size = float(rng.normal(1, 0.04))
    phase = str(rng.choice(list(PHASES), p=list(PHASES.values())))
    column = list(PHASES).index(phase)
    hu = {name: float(rng.normal(mean[column], spread[column])) for name, (mean, spread) in HU.items()}
    if rng.random() < 0.2:
        hu["liver"] -= rng.uniform(10, 35)  # steatosis
    width = 0.94 + 0.16 * habitus
    return SyntheticPatient(
        phase=phase,
        hu=hu,
        scale=(size * width, size * width * float(rng.normal(1, 0.03)), size * float(rng.normal(1, 0.03))),
        subcutaneous_mm=float(5 + 38 * habitus * rng.uniform(0.6, 1.2)),
        visceral=float(np.clip(habitus + rng.normal(0, 0.2), 0, 1)),
        organ=_organ_scales(rng, width),
        absent=_sample_absent(rng),
    )


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
