"""Fit the model that predicts the Dice of an organ from its features. Needs scikit-learn; predicting does not."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from segment.errors import UserError
from segment.inference.confidence.confidence import GOOD_DICE
from segment.inference.confidence.trees import LEAF, Trees

TREES, DEPTH, LEAST_IN_LEAF, RATE, SHARE, TRIED = 250, 6, 8, 0.05, 0.6, 0.3
FOLDS = 8
COVERAGE = 0.9  # of the interval
# Share of the good organs of the calibration cases that may be red by their predicted Dice; with those that are red by
# their side, 5 %.
FALSE_ALARMS = 0.045
MISSING = -99.0  # in place of NaN, far from all values
LOWEST, HIGHEST = 0.02, 0.985  # limits of the Dice, because the logits of 0 and 1 are infinite
KNOTS = 60  # of the curve from score to Dice
LEAST_NEAR, NEAR_SHARE = 60, 0.06  # rows with a similar score from which a knot is computed, as number and as share
DIGITS = 5


def check_installed() -> None:
    """Refuse to start without scikit-learn.

    Raises:
        UserError: When it is missing.
    """
    if find_spec("sklearn") is None:
        msg = "confidence=calibrate needs the package scikit-learn; install it with pip install scikit-learn"
        raise UserError(msg)


def fit_score(features: np.ndarray, dice: np.ndarray, depth: int = DEPTH) -> Trees:
    """Boosted trees for the score of an organ, an estimate of the logit of its Dice.

    Args:
        features: (N,F), NaN replaced by `MISSING`.
        dice: (N,).
        depth: Of the trees.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=depth,
        min_samples_leaf=LEAST_IN_LEAF,
        learning_rate=RATE,
        subsample=SHARE,
        max_features=TRIED,
        random_state=0,
    )
    limited = np.clip(dice, LOWEST, HIGHEST)
    model.fit(features, np.log(limited / (1 - limited)))
    start = float(np.ravel(model.init_.constant_)[0])
    return Trees(round(start, DIGITS), [_plain_tree(tree.tree_) for tree in model.estimators_[:, 0]])


def _plain_tree(tree: Any) -> dict[str, list[float]]:  # noqa: ANN401
    """A tree of scikit-learn in the form of `Trees`."""
    is_leaf = tree.children_left < 0
    return {
        "feature": np.where(is_leaf, LEAF, tree.feature).tolist(),
        "threshold": np.where(is_leaf, 0, tree.threshold).round(DIGITS).tolist(),
        "left": np.where(is_leaf, 0, tree.children_left).tolist(),
        "right": np.where(is_leaf, 0, tree.children_right).tolist(),
        "value": (RATE * tree.value[:, 0, 0] * is_leaf).round(DIGITS).tolist(),
    }


def out_of_fold(features: np.ndarray, dice: np.ndarray, groups: Sequence[str], depth: int = DEPTH) -> np.ndarray:
    """Scores (N,) of each row by trees that saw no row of its group.

    Args:
        features: (N,F).
        dice: (N,).
        groups: The case of each row: its faults are variants of one patient.
        depth: Of the trees.
    """
    names = {name: number % FOLDS for number, name in enumerate(dict.fromkeys(groups))}
    fold = np.array([names[group] for group in groups])
    scores = np.zeros(len(dice))
    for number in np.unique(fold):
        test = fold == number
        scores[test] = fit_score(features[~test], dice[~test], depth)(features[test])
    return scores


def fit_curve(scores: np.ndarray, dice: np.ndarray) -> np.ndarray:
    """Knots (K,4) of the curve from a score to a Dice: score, median, lower and upper end of the interval.

    Each knot is computed from the rows with the nearest scores. With n of these, the ends of the interval are those
    quantiles that hold the Dice of one more row with the probability `COVERAGE` (split conformal prediction). The
    median and the ends rise with the score.

    Args:
        scores: (N,) of rows that the trees did not see.
        dice: (N,).
    """
    order = np.argsort(scores, kind="stable")
    near = min(len(order), max(LEAST_NEAR, int(NEAR_SHARE * len(order))))
    tail = (1 - COVERAGE) / 2
    rank = min(near - 1, int(np.ceil((1 - tail) * (near + 1))) - 1)
    knots = []
    for start in np.unique(np.linspace(0, len(order) - near, KNOTS).round().astype(int)):
        rows = order[start : start + near]
        values = np.sort(dice[rows])
        knots.append((np.median(scores[rows]), np.median(values), values[near - 1 - rank], values[rank]))
    curve = np.array(knots)
    curve[:, 1:] = np.maximum.accumulate(curve[:, 1:], axis=0)
    return curve.round(DIGITS)


def red_limit(dice: np.ndarray, predicted: np.ndarray) -> float:
    """The predicted Dice below which an organ is red: `FALSE_ALARMS` of the good organs lie below it."""
    good = predicted[dice >= GOOD_DICE]
    return float(np.clip(np.quantile(good, FALSE_ALARMS), 0, GOOD_DICE)) if good.size else GOOD_DICE
