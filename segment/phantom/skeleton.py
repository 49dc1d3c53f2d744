"""All bones of the trunk and the limbs."""

from dataclasses import dataclass

import numpy as np

from segment.phantom.hip_bones import add_hip_bones
from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region
from segment.phantom.ribs import CHEST, Cage, add_ribs, measure_cage
from segment.phantom.shoulder_bones import add_shoulder_bones
from segment.phantom.spine import Spine, add_spine, sample_spine
from segment.phantom.subset import cut
from segment.phantom.trunk import Trunk


@dataclass(frozen=True)
class Frame:
    """The shape of spine and rib cage, which muscles and organs need before the bones are added.

    Attributes:
        spine: The curve of the spine.
        cage: The rib cage.
    """

    spine: Spine
    cage: Cage


def sample_frame(body: Region, trunk: Trunk, patient: SyntheticPatient, rng: np.random.Generator) -> Frame:
    """Sample the curves of the spine and measure the rib cage."""
    spine = sample_spine(patient, rng)
    return Frame(spine, measure_cage(body, trunk, spine))


def add_skeleton(body: Region, trunk: Trunk, frame: Frame, patient: SyntheticPatient, rng: np.random.Generator) -> None:
    """Add and claim the bones."""
    marrow = 30 * body.field(rng, 6)
    add_ribs(frame.cage, patient, cut(body, marrow, *CHEST), rng)
    add_hip_bones(body, patient, marrow, rng)
    add_shoulder_bones(body, trunk.arms, patient, marrow, rng)
    add_spine(body, frame.spine, rng)
