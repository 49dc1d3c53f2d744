"""Synthetic CTs from the label maps of real ones."""
