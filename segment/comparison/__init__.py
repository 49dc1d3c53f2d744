"""Comparison of finished runs: find and read them, group them into arms, check that the comparison is fair, test it."""
