"""Public data sets: what there is, how to get it, how to unpack it safely."""
