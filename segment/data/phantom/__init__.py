"""A seeded generator of synthetic abdominal CTs that a radiologist would recognise as a schematic torso."""

from segment.data.phantom.case import LABELS
from segment.data.phantom.dataset import write_dataset

__all__ = ["LABELS", "write_dataset"]
