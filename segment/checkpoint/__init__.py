"""Checkpoints: loaded, checked, fine-tuned from, joined into ensembles."""
