"""The order in which to annotate CTs, so that each one teaches as much as possible beside those before it."""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Place:
    """One place in the order.

    Attributes:
        index: Number of the CT.
        adds: What annotating it adds, as a share of what annotating all CTs would add, 0 to 1.
        nearest: Number of the most similar CT before it; None for the first.
        similarity: Its similarity to that one, 0 to 1; 0 for the first.
    """

    index: int
    adds: float
    nearest: int | None
    similarity: float


def order(similarity: np.ndarray, need: np.ndarray, covered: np.ndarray) -> list[Place]:
    """Order CTs by weighted facility location.

    An annotated CT is assumed to teach as much about another CT as the two are similar. So a set S of annotated CTs
    teaches f(S) = Σᵢ needᵢ · max(coveredᵢ, max over j in S of similarityᵢⱼ). The CT with the largest gain in f comes
    next. Therefore a CT comes early if the network fails on it and on many like it, its near-duplicate comes late, and
    an oddity that resembles no other CT counts for itself only. The greedy set of any size reaches at least 1 − 1/e of
    the largest possible f, because f is monotone and submodular (Nemhauser, Wolsey and Fisher 1978,
    doi:10.1007/BF01588971). Gains are evaluated lazily (Minoux 1978, doi:10.1007/BFb0006528): they never grow, so only
    the CT with the largest earlier gain must be evaluated again.

    Suggestive annotation (Yang et al. 2017, arXiv 1706.04737) selects images to segment by the same function after a
    filter by uncertainty, and Wei, Iyer and Bilmes 2015 ("Submodularity in data subset selection and active learning",
    ICML) do so in classification. Here the uncertainty is a weight instead. A core-set (k-centre, Sener and Savarese
    2018, arXiv 1708.00489) would take the oddities first.

    Args:
        similarity: (N,N), in [0, 1], symmetric, with 1 on the diagonal.
        need: (N,) what there is to learn about each CT, for example 1 − predicted Dice; not negative.
        covered: (N,) how similar each CT is to the one most like it that has a label, in [0, 1]; 0 without labels.

    Returns:
        All CTs, the most useful first. CTs with equal gains keep their order.
    """
    covered = np.array(covered, float)
    total = float((need * (1 - covered)).sum())

    def gain(index: int) -> float:
        return float((need * np.maximum(similarity[index] - covered, 0)).sum())

    places: list[Place] = []
    # (−gain, CT, number of CTs in the order when the gain was evaluated)
    queue = [(-gain(index), index, 0) for index in range(len(need))]
    heapq.heapify(queue)
    while queue:
        negative, index, evaluated = heapq.heappop(queue)
        if evaluated < len(places):
            heapq.heappush(queue, (-gain(index), index, len(places)))
            continue
        places.append(_place(index, -negative / total if total else 0.0, similarity, places))
        covered = np.maximum(covered, similarity[index])
    return places


def _place(index: int, adds: float, similarity: np.ndarray, before: list[Place]) -> Place:
    if not before:
        return Place(index, adds, None, 0.0)
    earlier = [place.index for place in before]
    nearest = earlier[int(np.argmax(similarity[index, earlier]))]
    return Place(index, adds, nearest, float(similarity[index, nearest]))


def count_for(places: list[Place], share: float) -> int:
    """How many of the first CTs add this share together; 0 if there is nothing to add."""
    reached = np.cumsum([place.adds for place in places])
    if not len(reached) or not reached[-1]:
        return 0
    return int(np.argmax(reached >= share * reached[-1])) + 1
