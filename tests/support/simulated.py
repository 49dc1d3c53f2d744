"""Simulated scores with known effects. Patients and seeds are crossed, as in a test of trained networks."""

import numpy as np


def scores(rng, seeds, patients, mean=0.0, own=0.02, seed=0.0, chance=0.01, shared=0.0):
    """Scores (seeds, patients) of one recipe.

    Args:
        rng: Source of randomness.
        seeds: Number of seeds.
        patients: Number of patients.
        mean: Mean score.
        own: SD of the interaction of recipe and patient.
        seed: SD of the effect of a seed on all patients.
        chance: SD of the remaining noise.
        shared: Difficulty of each patient (patients,), the same for all recipes.
    """
    of_patients = shared + rng.normal(0, own, patients)
    of_seeds = rng.normal(0, seed, (seeds, 1))
    return mean + of_patients + of_seeds + rng.normal(0, chance, (seeds, patients))


def within(count, trials, probability, sigmas=3.5):
    """Whether a number of successes is compatible with a probability."""
    return abs(count - trials * probability) <= sigmas * np.sqrt(trials * probability * (1 - probability)) + 0.5


def at_most(count, trials, probability, sigmas=3.5):
    """Whether a number of successes is compatible with at most this probability."""
    return count <= trials * probability + sigmas * np.sqrt(trials * probability * (1 - probability)) + 0.5
