"""The pre-flight: a small trial of a run, and the forecast of time and memory from it."""
