"""Breathing: the organs move with the diaphragm, the skeleton stays in place."""

from dataclasses import replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region

# Share of the diaphragm's movement by height in mm. Liver, spleen and stomach move as far as the diaphragm, the kidneys
# about half as far; the share falls to 0 towards the pelvis and the fork of the windpipe.
_HEIGHTS_MM = (-200.0, -30.0, 70.0, 100.0, 240.0)  # far apart, so that organs shrink little
_SHARES = (0.0, 0.5, 1.0, 1.0, 0.0)


def breathe(body: Region, patient: SyntheticPatient) -> Region:
    """The same voxels, with the heights that organs in them would have at a mean breath.

    For example, a liver that is added to this region at its mean height lies lower along the spine after a deep breath.
    """
    heights = body.axes[2]
    shift = np.float32(patient.breath_mm) * np.interp(heights, _HEIGHTS_MM, _SHARES).astype(np.float32)
    return replace(body, axes=(body.axes[0], body.axes[1], heights + shift), z=body.z + shift)
