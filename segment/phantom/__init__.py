"""A seeded generator of synthetic CTs of the trunk, from neck to thighs, schematic but anatomically plausible."""

from segment.phantom.region import LABELS
from segment.phantom.write import write_dataset

__all__ = ["LABELS", "write_dataset"]
