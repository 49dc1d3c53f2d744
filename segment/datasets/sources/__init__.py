"""Sources of cases: one file for each layout of a data set."""
