"""Random transforms of patches, with TorchIO's interface and fast enough for two CPU cores.

All random numbers come from torch's global generator, so one seed always gives the same patch.
"""

from segment.data.augment.intensity import RandomBrightness, RandomContrast, RandomGamma, RandomNoise
from segment.data.augment.mirror import RandomLeftRightFlip
from segment.data.augment.redraw import RedrawContrast
from segment.data.augment.sharpness import RandomBlur, RandomLowResolution
from segment.data.augment.spatial import RandomSpatial

__all__ = [
    "RandomBlur",
    "RandomBrightness",
    "RandomContrast",
    "RandomGamma",
    "RandomLeftRightFlip",
    "RandomLowResolution",
    "RandomNoise",
    "RandomSpatial",
    "RedrawContrast",
]
