"""Prefixes of the tensors in the state of a `SegmentationModule`, which checkpoints hold."""

NET = "net."
CRITERION = "criterion."  # tensors of the loss, such as MONAI's class weights
