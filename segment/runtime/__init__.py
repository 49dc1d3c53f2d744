"""The process itself: threads, memory settings, signals, seeds."""
