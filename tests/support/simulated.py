"""Scores whose truth is known: patients and seeds are crossed, as in a test of trained networks."""

import numpy as np


def scores(rng, seeds, patients, mean=0.0, own=0.02, seed=0.0, chance=0.01, shared=0.0):
    """(seeds, patients) of one recipe.

    `own` is the SD of what the recipe does to a patient, `seed` of what a seed does to all, `chance` of the rest;
    `shared` (patients,) is how hard patients are, whatever the recipe.
    """
    of_patients = shared + rng.normal(0, own, patients)
    of_seeds = rng.normal(0, seed, (seeds, 1))
    return mean + of_patients + of_seeds + rng.normal(0, chance, (seeds, patients))


def within(count, trials, probability, sigmas=3.5):
    """Whether a count of successes fits a probability."""
    return abs(count - trials * probability) <= sigmas * np.sqrt(trials * probability * (1 - probability)) + 0.5


def at_most(count, trials, probability, sigmas=3.5):
    """Whether a count of successes fits a probability or a lower one."""
    return count <= trials * probability + sigmas * np.sqrt(trials * probability * (1 - probability)) + 0.5
