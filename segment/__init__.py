"""Organ segmentation experiments on abdominal CT."""

__version__ = "0.1.0"
