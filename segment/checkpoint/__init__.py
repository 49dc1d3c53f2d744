"""Load, check and transfer checkpoints, and combine them into ensembles."""
