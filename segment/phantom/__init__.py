"""A seeded generator of synthetic abdominal CTs, schematic but anatomically plausible."""

from segment.phantom.region import LABELS
from segment.phantom.write import write_dataset

__all__ = ["LABELS", "write_dataset"]
