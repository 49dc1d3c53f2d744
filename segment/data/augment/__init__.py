"""Random transforms of patches, cheap enough for two cores; each follows TorchIO's interface.

All randomness comes from torch's global generator, so that a seeded sample is always the same sample.
"""

from segment.data.augment.intensity import RandomBrightness, RandomContrast, RandomGamma, RandomNoise
from segment.data.augment.mirror import RandomLeftRightFlip
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
]
