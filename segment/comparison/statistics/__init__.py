"""Confidence intervals, paired tests and the variation between seeds, computed from arrays of scores."""
