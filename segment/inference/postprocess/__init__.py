"""Clean up masks after segmentation, on the CT's own grid."""
