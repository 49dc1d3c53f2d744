"""From CT files to volumes, patches and batches."""
