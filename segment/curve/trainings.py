"""The trainings of a curve, as trials of a search that are planned instead of proposed by a sampler."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from optuna.distributions import IntDistribution
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from segment.configuration.arguments import quoted
from segment.configuration.values import is_at_or_below, override_key
from segment.search.options import Direction
from segment.search.propose import Method, running
from segment.search.study import Claim, Search
from segment.search.trial import Training
from segment.search.trials_table import finished

CTS, REPEAT = "cts", "repeat"  # the parameters of a trial
SPLITS = "splits"  # folder of the splits


@dataclass(frozen=True)
class Planned(Method):
    """Proposes trainings of a list, in its order.

    Attributes:
        trainings: Number of training CTs and repeat of each.
        failed_before: Trials with a smaller number that have failed are done again.
    """

    trainings: Sequence[tuple[int, int]] = ()
    failed_before: int = 0

    def propose(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """The first training that is not among the trials; None if all are."""
        settled = (trial for trial in trials if trial.state != TrialState.FAIL or trial.number >= self.failed_before)
        tried = {_key(trial) for trial in settled}
        for cts, repeat in self.trainings:
            if (cts, repeat) not in tried:
                return running({CTS: cts, REPEAT: repeat}, self, {})
        return None


def _key(trial: FrozenTrial) -> tuple[int, int]:
    return trial.params[CTS], trial.params[REPEAT]


def count_missing(trials: Sequence[FrozenTrial], trainings: Iterable[tuple[int, int]]) -> int:
    """Number of trainings that have not finished."""
    done = {_key(trial) for trial in finished(trials)}
    return len({*trainings} - done)


@dataclass(frozen=True)
class CurveTraining(Training):
    """How to train on one of the subsets.

    Attributes:
        splits: Folder with the split of each training.
        first: Seed of the first repeat; the next repeat has the next seed.
    """

    splits: Path = Path()
    first: int = 0

    def own_overrides(self, claim: Claim, seed: int) -> list[str]:
        """The split and the seed of the repeat."""
        repeat = int(claim.params[REPEAT])
        path = self.splits / split_name(int(claim.params[CTS]), repeat)
        return ["split=file", f"split.path={quoted(str(path))}", f"seed={self.first + repeat}"]


def split_name(cts: int, repeat: int) -> str:
    """File name of a split."""
    return f"{cts}_{repeat}.json"


def plan_trainings(sizes: Sequence[int], repeats: int) -> list[tuple[int, int]]:
    """Number of CTs and repeat of each training, all sizes of the first repeat first."""
    return [(cts, repeat) for repeat in range(repeats) for cts in sizes]


def open_search(folder: Path, trainings: Sequence[tuple[int, int]], direction: Direction) -> Search:
    """Open the trials of a curve.

    Args:
        folder: The folder of the curve.
        trainings: Number of CTs and repeat of each training.
        direction: Whether larger or smaller values of the monitored score are better.
    """
    space = {CTS: IntDistribution(1, 1_000_000), REPEAT: IntDistribution(0, 1_000_000)}
    method = Planned(space, direction, RandomSampler, NopPruner(), 0, trainings)
    search = Search(folder, method)
    search.method = replace(method, failed_before=len(search.trials()))
    return search


def kept_overrides(overrides: Sequence[str], own: Sequence[str]) -> list[str]:
    """The arguments of `segment curve` that are passed to `segment train`.

    Args:
        overrides: All arguments.
        own: Keys that the trainings do not get; those below them are left out, too.
    """
    kept = []
    for argument in overrides:
        key = override_key(argument)
        if not any(is_at_or_below(key, one) for one in own):
            kept.append(argument)
    return kept
