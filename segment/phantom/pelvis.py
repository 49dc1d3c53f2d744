"""Pelvis: bladder, rectum, uterus or prostate, iliac vessels, muscles of hips and thighs."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.trunk import Trunk


def add_pelvis(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add the organs of the pelvis, before the bowel fills the rest of the cavity."""
