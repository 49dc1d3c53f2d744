"""Memory: what is free, what is used, and what a network will need, computed from shapes alone."""
