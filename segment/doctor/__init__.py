"""What is wrong with a data set, told before anyone trains on it."""
