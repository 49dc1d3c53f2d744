"""Searches: many trainings with settings that Optuna proposes, each training in its own process."""
