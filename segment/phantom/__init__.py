"""A seeded generator of synthetic abdominal CTs that a radiologist would recognise as a schematic torso."""

from segment.phantom.case import LABELS
from segment.phantom.write import write_dataset

__all__ = ["LABELS", "write_dataset"]
