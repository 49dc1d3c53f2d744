"""Process-wide state: threads, memory settings, signals, random seeds."""
