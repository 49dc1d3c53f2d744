"""The options of every command: their names and types, and the checks that run before torch is imported."""
