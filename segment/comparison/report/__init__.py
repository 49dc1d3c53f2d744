"""A comparison of runs, told: in words, tables, a figure and a page."""
