"""The run folder: how it is chosen, locked and recorded, and how the processes of one run share it."""
