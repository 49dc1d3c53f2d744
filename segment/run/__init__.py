"""The run folder: which one, whose, what it records, and the processes that share it."""
