"""Clean up masks after segmentation, on the CT's own grid."""

from segment.inference.postprocess.clean_up import KeepLargest

__all__ = ["KeepLargest"]  # checkpoints of earlier versions name it here
