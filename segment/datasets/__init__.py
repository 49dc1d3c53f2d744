"""Data sets: their layouts, their downloads, their cases and annotations."""
