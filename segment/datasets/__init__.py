"""Data sets: layouts, downloads, cases and annotations."""
