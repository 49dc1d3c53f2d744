"""Searches: many trainings, each a process of its own, whose settings Optuna chooses."""
