"""The pre-flight: a short trial before a run, and the forecast of the run's time and memory."""
