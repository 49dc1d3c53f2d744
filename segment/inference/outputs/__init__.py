"""What `segment predict` writes for a CT beside its mask, and for a whole call."""
