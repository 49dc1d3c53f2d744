"""The options of every command: their names and types, checked before torch is imported."""
