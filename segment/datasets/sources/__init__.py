"""Where cases come from: one layout of a data set a file."""
