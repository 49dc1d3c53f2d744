"""The run folder: which one, whose, what it records and may tell, and the processes that share it."""
