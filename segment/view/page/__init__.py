"""Web pages of one file that show predictions and runs without a network."""
