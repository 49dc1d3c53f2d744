"""Check a data set for errors before training."""
