"""Disease, surgery and devices: cysts, tumours, stones, fluid, clips, stents, tubes."""

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.trunk import Trunk


def add_disease(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Change the finished anatomy."""
