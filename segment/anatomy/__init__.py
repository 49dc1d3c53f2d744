"""Position, size and brightness of the organs in a body."""
