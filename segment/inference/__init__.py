"""Segment CTs with a trained network: from a CT to a mask on its own grid."""
