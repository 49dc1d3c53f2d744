"""Sums of regression trees as plain numbers: small, readable, and unable to run code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

MOST_TREES, MOST_NODES = 2000, 127
LEAF = -1


@dataclass(frozen=True)
class Trees:
    """A start value plus the sum of trees. A node goes left if its feature is at most its threshold.

    Attributes:
        start: What is predicted without trees.
        trees: For each tree five lists, one entry for each node: `feature` (`LEAF` for a leaf), `threshold`, `left`
            and `right` (numbers of later nodes), `value` (what a leaf adds).
    """

    start: float
    trees: Sequence[Mapping[str, Sequence[float]]]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Predictions (N,) for features (N,F)."""
        if not self.trees:
            return np.full(len(rows), self.start)
        feature, left, right, threshold, value = self._columns
        tree, row = np.arange(len(self.trees)), np.arange(len(rows))[:, None]
        node = np.zeros((len(rows), len(tree)), int)
        for _ in range(feature.shape[1]):  # every step leads to a later node, or stays in a leaf
            at = feature[tree, node]
            if (at == LEAF).all():
                break
            goes_left = rows[row, at] <= threshold[tree, node]
            node = np.where(at == LEAF, node, np.where(goes_left, left[tree, node], right[tree, node]))
        return np.asarray(self.start + value[tree, node].sum(axis=1))

    @cached_property
    def _columns(self) -> tuple[np.ndarray, ...]:
        """Features, left and right children, thresholds and values of all nodes, (T,M) each."""
        whole = [self._column(name).astype(int) for name in ("feature", "left", "right")]
        return (*whole, self._column("threshold"), self._column("value"))

    def _column(self, name: str) -> np.ndarray:
        """One list of all trees, (T,M), filled up with leaves."""
        longest = max(len(tree[name]) for tree in self.trees)
        fill = LEAF if name == "feature" else 0
        return np.array([[*tree[name], *[fill] * (longest - len(tree[name]))] for tree in self.trees], float)

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"start": self.start, "trees": [dict(tree) for tree in self.trees]}


def parse_trees(content: Any, features: int) -> Trees:  # noqa: ANN401
    """Trees from plain values, which may come from a stranger.

    Args:
        content: What `Trees.to_plain` gives.
        features: Number of features.

    Raises:
        ValueError: When something else than numbers, or a tree that is none, is found.
    """
    trees = content["trees"]
    if not isinstance(trees, list) or len(trees) > MOST_TREES:
        msg = f"trees must be a list of at most {MOST_TREES}"
        raise ValueError(msg)
    for number, tree in enumerate(trees):
        _check_tree(tree, features, f"tree {number}")
    start = float(content["start"])
    if not np.isfinite(start):
        msg = f"start is {start}"
        raise ValueError(msg)
    return Trees(start, trees)


def _check_tree(tree: Any, features: int, name: str) -> None:  # noqa: ANN401
    columns = [np.array(tree[key], float) for key in ("feature", "threshold", "left", "right", "value")]
    count = len(columns[0])
    if not 1 <= count <= MOST_NODES or any(column.shape != (count,) for column in columns):
        msg = f"{name} must have five lists of the same length, of 1 to {MOST_NODES} numbers"
        raise ValueError(msg)
    feature, _, left, right, _ = columns
    inner = feature != LEAF
    nodes = np.arange(count)
    if not all(np.isfinite(column).all() for column in columns) or (feature % 1 != 0).any():
        msg = f"{name} has values that are no numbers"
        raise ValueError(msg)
    if (feature[inner] < 0).any() or (feature >= features).any():
        msg = f"{name} names a feature that does not exist"
        raise ValueError(msg)
    for child in (left, right):
        if (child[inner] <= nodes[inner]).any() or (child[inner] >= count).any() or (child % 1 != 0).any():
            msg = f"{name} has a node whose child is not a later node"
            raise ValueError(msg)
