"""Memory: what there is, what is taken, and what will be, from shapes alone."""
