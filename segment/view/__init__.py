"""Pictures and videos of results."""
