"""Tissues of the synthetic anatomy, their codes in a tissue map, and their HU in four contrast phases."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# Share of each phase. The columns of the table of HU have the same order.
PHASES = {"unenhanced": 0.25, "arterial": 0.25, "portal": 0.35, "delayed": 0.15}

LOWEST_HU, HIGHEST_HU = -1024, 3071  # of a CT of 12 bits, as scanners reconstruct it

Values = float | tuple[float, float, float, float]  # the same in every phase, or one per phase


@dataclass(frozen=True)
class Tissue:
    """HU of a tissue over patients.

    Attributes:
        mean: Mean HU in each phase of PHASES.
        spread: Standard deviation of this mean between patients, in each phase.
        texture: Standard deviation of the variation within one patient, without the scanner's noise, in each phase.
        least: Lower bound of a patient's mean.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    texture: tuple[float, ...]
    least: float = -1024.0


def _tissue(mean: Values, spread: Values, texture: Values = 3.0, least: float = -1024.0) -> Tissue:
    return Tissue(_per_phase(mean), _per_phase(spread), _per_phase(texture), least)


def _per_phase(value: Values) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * len(PHASES)


# The means are based on measurements in three public CTs inside eroded TotalSegmentator labels: unenhanced liver 46,
# spleen 35, kidney 13-23, aorta 44, psoas 50, small bowel 24, bladder 12, prostate 12; arterial liver 75, spleen 178,
# kidney 196, aorta 395, heart 328, pulmonary vein 374, superior vena cava 1515, vena cava 82, portal vein 175,
# pancreas 70, adrenals 89-100; portal venous liver 91, spleen 81, vena cava 96, portal vein 137, aorta 180, pancreas
# 71; back muscles 14-40, gluteal muscles 8-36, vertebrae 120-320 with cortex, ribs 140-350, lung -770 to -900.
TISSUES: dict[str, Tissue] = {
    "air": _tissue(-1000, 0, 0),
    # organs
    "liver": _tissue((54, 74, 104, 88), (8, 10, 13, 11), 4),
    "spleen": _tissue((46, 140, 112, 90), (5, 26, 14, 10), (3, 24, 4, 3)),
    "cortex": _tissue((31, 185, 175, 130), (5, 30, 24, 20), 6),
    "medulla": _tissue((28, 72, 150, 135), (5, 18, 24, 20), 6),
    "urine": _tissue((4, 5, 8, 300), (4, 4, 4, 220), (2, 2, 2, 20), least=-5),
    "pancreas": _tissue((38, 88, 84, 66), (8, 15, 12, 10), 9),
    "adrenal": _tissue((28, 78, 68, 55), (8, 16, 12, 10), 5),
    "gallbladder_wall": _tissue((35, 60, 75, 70), (8, 12, 12, 12)),
    "bile": _tissue(9, 7, 2, least=-10),
    # vessels and heart
    "aorta": _tissue((43, 330, 155, 108), (5, 70, 20, 12), 5),
    "vena_cava": _tissue((42, 85, 140, 103), (5, 25, 20, 12), (4, 25, 8, 4), least=30),
    "iliac_vein": _tissue((42, 48, 105, 100), (5, 10, 30, 14), (4, 6, 12, 4), least=30),
    "portal_vein": _tissue((42, 125, 160, 108), (5, 35, 20, 12), 4, least=30),
    "hepatic_vein": _tissue((42, 74, 150, 106), (5, 12, 20, 12), 4, least=30),
    "right_heart": _tissue((42, 240, 140, 105), (5, 110, 18, 12), (4, 30, 5, 4), least=36),
    "left_heart": _tissue((42, 310, 148, 106), (5, 70, 18, 12), 6, least=36),
    "myocardium": _tissue((46, 95, 104, 88), (6, 22, 14, 10), 5),
    "pulmonary_artery": _tissue((42, 240, 142, 105), (5, 110, 18, 12), 6, least=36),
    "superior_vena_cava": _tissue((42, 500, 145, 105), (5, 420, 20, 12), (4, 80, 8, 4), least=36),
    # wall of the trunk
    "skin": _tissue((40, 45, 52, 50), 12, 8),
    "fat": _tissue(-104, 7, 7),
    "visceral_fat": _tissue(-98, 8, 7),
    "muscle": _tissue((50, 57, 62, 60), 8, 9),
    "breast": _tissue((25, 40, 48, 45), 18, 22),
    # skeleton
    "cortical": _tissue(520, 130, 40),
    "spongiosa": _tissue((155, 165, 170, 165), 50, 30, least=40),
    "disc": _tissue((82, 86, 90, 88), 12, 6),
    "cartilage": _tissue((112, 116, 122, 118), 18, 12),
    "cord": _tissue((32, 33, 34, 34), 6, 3),
    "canal": _tissue(10, 12, 6),
    # chest and neck
    "lung": _tissue(-845, 40, 28),
    "airway": _tissue(-995, 8, 2),
    "airway_wall": _tissue((30, 45, 50, 45), 20, 5),
    "lung_vessel": _tissue((20, 120, 75, 55), (15, 60, 25, 20), 10),
    "oesophagus": _tissue((34, 55, 62, 55), 12, 6),
    "thyroid": _tissue((100, 190, 160, 140), 25, 8),
    # stomach and bowel
    "stomach_wall": _tissue((40, 78, 84, 66), (8, 16, 14, 10), 5),
    "stomach_fluid": _tissue(14, 10, 4, least=-5),
    "food": _tissue(40, 28, 30),
    "bowel_wall": _tissue((38, 82, 82, 66), (8, 16, 14, 10), 5),
    "bowel_fluid": _tissue(18, 11, 4, least=-10),
    "oral_contrast": _tissue(230, 110, 15, least=60),
    "stool": _tissue(15, 30, 45),
    "gas": _tissue(-960, 25, 6),
    # pelvis
    "bladder_wall": _tissue((34, 52, 62, 58), 9, 4),
    "bladder_urine": _tissue((5, 6, 7, 160), (5, 5, 6, 160), (2, 2, 2, 12), least=-5),
    "prostate": _tissue((32, 62, 72, 66), (8, 14, 14, 12), 7),
    "uterus": _tissue((44, 78, 105, 95), (8, 18, 20, 16), 7),
    # disease
    "ascites": _tissue(8, 7, 2, least=-8),
    "effusion": _tissue(11, 8, 2, least=-8),
    "cyst": _tissue(6, 6, 2, least=-10),
    "hypodense_lesion": _tissue((34, 48, 62, 58), (8, 16, 16, 14), 8),
    "enhancing_lesion": _tissue((40, 130, 125, 110), (8, 35, 25, 22), 10),
    "haematoma": _tissue(58, 12, 8),
    "calcification": _tissue(480, 220, 30, least=130),
    "stone": _tissue(600, 280, 30, least=110),
    "gallstone": _tissue(75, 70, 10, least=-40),
    # objects
    "metal": _tissue(3000, 200, 0),
    "plastic": _tissue(150, 70, 5),
    "foam": _tissue(-930, 25, 4),
    "table_shell": _tissue(150, 80, 5),
    "renal_vein": _tissue((42, 150, 160, 108), (5, 35, 20, 12), 4, least=30),
    "thrombus": _tissue((38, 40, 42, 42), 7, 4),
    "consolidation": _tissue((36, 75, 92, 80), 14, 10),
    "lymph_node": _tissue((36, 68, 84, 76), 14, 6),
    "lung_mass": _tissue((36, 62, 74, 68), (8, 20, 18, 15), 8),
    "lower_cava": _tissue((42, 48, 105, 100), (5, 10, 30, 14), (4, 6, 12, 4), least=30),  # below the renal veins
}

CODES: dict[str, int] = {name: code for code, name in enumerate(TISSUES)}  # in tissue maps, uint8; 0 is air


def sample_phase(rng: np.random.Generator) -> str:
    """Sample a contrast phase."""
    return str(rng.choice(list(PHASES), p=list(PHASES.values())))


def sample_hu(rng: np.random.Generator, phase: str) -> dict[str, float]:
    """Sample a patient's mean HU of every tissue in a contrast phase.

    One factor scales all enhancement, because it depends on the patient's size and heart and on the dose of contrast
    medium. The rest varies independently.

    Args:
        rng: Random numbers.
        phase: A key of PHASES.
    """
    column = list(PHASES).index(phase)
    strength = float(np.exp(rng.normal(0, 0.15)))
    hu = {}
    for name, tissue in TISSUES.items():
        enhancement = tissue.mean[column] - tissue.mean[0]
        value = tissue.mean[0] + strength * enhancement + rng.normal(0, 1) * tissue.spread[column]
        hu[name] = float(max(value, tissue.least))
    if rng.random() < 0.2:
        hu["liver"] -= float(rng.uniform(10, 45))  # steatosis
    return hu


def texture_hu(phase: str) -> Mapping[str, float]:
    """Standard deviation in HU of each tissue's texture in a contrast phase."""
    column = list(PHASES).index(phase)
    return {name: tissue.texture[column] for name, tissue in TISSUES.items()}
