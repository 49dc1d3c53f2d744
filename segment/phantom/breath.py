"""Breath: how the organs move with the diaphragm along the skeleton, which stays."""

from dataclasses import replace

import numpy as np

from segment.phantom.patient import SyntheticPatient
from segment.phantom.region import Region

# Share of the diaphragm's movement by height in mm: all of it for liver, spleen and stomach, half for the kidneys, and
# less and less towards the pelvis and the fork of the windpipe. Kidneys move about half as far as the liver.
_HEIGHTS_MM = (-200.0, -30.0, 70.0, 100.0, 240.0)  # far apart, so that organs shrink little
_SHARES = (0.0, 0.5, 1.0, 1.0, 0.0)


def breathe(body: Region, patient: SyntheticPatient) -> Region:
    """The same voxels for organs: heights are those that the structures would have at a mean breath.

    A liver that is drawn at the mean height in this region lies lower along the spine after a deep breath.
    """
    heights = body.axes[2]
    shift = np.float32(patient.breath_mm) * np.interp(heights, _HEIGHTS_MM, _SHARES).astype(np.float32)
    return replace(body, axes=(body.axes[0], body.axes[1], heights + shift), z=body.z + shift)
