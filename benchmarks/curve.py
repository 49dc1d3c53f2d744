"""How often the interval of `segment curve` holds the truth, by simulation.

    python benchmarks/curve.py [--repetitions 400] [--patients 12]

The Dice of patients is simulated at 5, 10 and 20 training CTs, for true curves of several shapes, and a curve is fitted
as the command does it. The table states how often the interval for 40 CTs holds the true mean Dice of all patients, how
wide it is, and how often the interval for the number of CTs that a Dice needs holds the true one.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segment.curve.answer import answer
from segment.curve.scores import Scores

SIZES, LATER, REPEATS = (5, 10, 20), 40, 3
Curve = Callable[[float], float]


@dataclass(frozen=True)
class Truth:
    """A true curve.

    Attributes:
        curve: Mean Dice by number of training CTs.
        level: Dice at which it ends.
    """

    curve: Curve
    level: float


TRUTHS = {
    "power law, c = 0.5": Truth(lambda n: 0.97 - 0.5 * n**-0.5, 0.97),
    "power law, c = 1": Truth(lambda n: 0.94 - 1.2 / n, 0.94),
    "power law, c = 0.3": Truth(lambda n: 1 - 0.6 * n**-0.3, 1),
    "power law, c = 2": Truth(lambda n: 0.93 - 8 / n**2, 0.93),
    "exponential": Truth(lambda n: 0.94 - 0.35 * np.exp(-n / 10), 0.94),
    "sigmoid": Truth(lambda n: 0.95 - 0.6 / (1 + (n / 8) ** 2), 0.95),
    "logarithm": Truth(lambda n: 0.6 + 0.08 * np.log(n), 0.98),  # up to 115 CTs
    "nearly flat": Truth(lambda n: 0.92 - 0.02 * n**-0.5, 0.92),
}


def simulate(truth: Truth, patients: int, random: np.random.Generator) -> Scores:
    """Scores of three trainings at each number of CTs.

    The error 1 - Dice of a patient has a part that no CT removes and one that CTs remove. Both differ between patients
    by a factor (log-normal, 50 %), the error of a training by another (15 %), and the error of a patient in a training
    by a third (25 %). Trainings of one repeat share CTs, so their factors are correlated by 0.5 from one number of CTs
    to the next.
    """
    left = (1 - truth.level) * _factor(0.5, random.standard_normal(patients))
    hardness = _factor(0.5, random.standard_normal(patients))
    columns = []
    for _ in range(REPEATS):
        common = random.standard_normal()
        for size in SIZES:
            common = 0.5 * common + np.sqrt(0.75) * random.standard_normal()
            error = left + (truth.level - truth.curve(size)) * hardness
            error = error * _factor(0.15, common) * _factor(0.25, random.standard_normal(patients))
            columns.append(1 - np.minimum(error, 1))
    return Scores(np.tile(SIZES, REPEATS), np.stack(columns, axis=1))


@dataclass(frozen=True)
class Coverage:
    """Result for one true curve.

    Attributes:
        curves: Share of repetitions in which the scores determine a curve.
        held: Share of these whose interval at 40 CTs holds the true Dice.
        width: Mean width of these intervals.
        needed: Share of these whose interval for the CTs that the true Dice at 40 needs holds 40.
    """

    curves: float
    held: float
    width: float
    needed: float


def coverage(truth: Truth, repetitions: int, patients: int = 12, seed: int = 0) -> Coverage:
    """Simulate and fit many times."""
    random = np.random.default_rng(seed)
    later = float(truth.curve(LATER))
    held, needed, widths = [], [], []
    for repetition in range(repetitions):
        one = answer("organ", simulate(truth, patients, random), later, LATER, repetition)
        if one.is_curve and one.needed is not None:
            estimate = one.predicted[LATER]
            held.append(estimate.low <= later <= estimate.high)
            widths.append(estimate.high - estimate.low)
            needed.append(one.needed.low <= LATER <= one.needed.high)
    return Coverage(len(held) / repetitions, *(float(np.mean(of)) for of in (held, widths, needed)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--patients", type=int, default=12)
    arguments = parser.parse_args()
    print("| true curve | Dice at 5, 10, 20 | at 40 | curves | Dice at 40 held | width | 40 CTs held |")
    print("|---|---|---|---|---|---|---|")
    for name, truth in TRUTHS.items():
        found = coverage(truth, arguments.repetitions, arguments.patients)
        dice = ", ".join(f"{truth.curve(size):.3f}" for size in SIZES)
        shares = (found.curves, found.held, found.needed)
        curves, held, needed = (f"{share:.0%}".replace("%", " %") for share in shares)
        cells = (name, dice, f"{truth.curve(LATER):.3f}", curves, held, f"{found.width:.3f}", needed)
        print(f"| {' | '.join(cells)} |", flush=True)


def _factor(spread: float, normal: np.ndarray | float) -> np.ndarray:
    """Log-normal factors with mean 1."""
    return np.exp(spread * np.asarray(normal) - spread**2 / 2)


if __name__ == "__main__":
    main()
