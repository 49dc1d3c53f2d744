"""Run one trial: a training for each seed, stopped if it is pruned or takes too long."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from optuna.trial import TrialState

from segment.configuration.arguments import quoted
from segment.search.process import Process
from segment.search.space import override
from segment.search.study import Claim, Search
from segment.search.watch import best, reason, scores

USER_ERROR = 2  # exit code of a training for an error that the user has to correct


@dataclass(frozen=True)
class Training:
    """How to train a trial.

    Attributes:
        command: Program and first arguments, e.g. `python -m segment.commands.train`.
        overrides: Arguments of every trial; the trial's own parameters follow them.
        monitor: The metric that the search optimises, as named in metrics.csv.
        seeds: Seeds of a trial's trainings, which run one after another; the trial's value is their mean.
        limit_s: Time limit of a trial in seconds, from its start or its last resume; None: unlimited.
        grace_s: Seconds that a training has to save a checkpoint after it was asked to stop.
    """

    command: Sequence[str]
    overrides: Sequence[str]
    monitor: str
    seeds: Sequence[int]
    limit_s: float | None
    grace_s: float = 60

    def folder(self, claim: Claim, seed: int) -> Path:
        """The run folder of the training with this seed."""
        return claim.folder if len(self.seeds) == 1 else claim.folder / f"seed{seed}"

    def call(self, claim: Claim, seed: int) -> list[str]:
        """Program and arguments of the training with this seed; it resumes if its folder holds a run."""
        folder = self.folder(claim, seed)
        is_started = (folder / "config.yaml").exists()
        return [
            *self.command,
            *self.overrides,
            *self.own_overrides(claim, seed),
            f"hydra.run.dir={quoted(str(folder))}",
            f"resume={str(is_started).lower()}",
        ]

    def own_overrides(self, claim: Claim, seed: int) -> list[str]:
        """Arguments that only this training has."""
        return [*(override(key, value) for key, value in claim.params.items()), f"seed={seed}"]


class Trial:
    """A trial that this process is running.

    Args:
        search: Records the trial.
        claim: The trial.
        training: How to train it.
        variables: Environment variables to add to those of this process.
    """

    def __init__(self, search: Search, claim: Claim, training: Training, variables: Mapping[str, str]) -> None:
        self.search = search
        self.claim = claim
        self.training = training
        self.environment = {**os.environ, **variables}
        self.values = dict(claim.seeds)
        self.reported = dict(claim.scores)
        self.deadline = None if training.limit_s is None else time.monotonic() + training.limit_s
        self.outcome: tuple[TrialState, str] | None = None  # set when its training is asked to stop
        self.seed = self._next_seed()
        self.process = self._start() if self.seed is not None else None

    def step(self) -> bool:
        """Report new scores, stop the training if necessary, start the next one if it has ended.

        Returns:
            Whether the trial has ended and is recorded.
        """
        if self.process is None or self.seed is None:  # an earlier process ended before it could record the trial
            return self._end(TrialState.COMPLETE, value=fmean(self.values.values()))
        code = self.process.poll()
        self._report()
        if code is None:
            self._check_time()
            return False
        if code == 0:  # even if it was asked to stop: it had finished by then
            return self._seed_done()
        state, why = self.outcome or (TrialState.FAIL, reason(code, self.process.tail()))
        return self._end(state, why, code)

    def stop(self) -> None:
        """Ask its training to save a checkpoint and exit; the trial stays open for a resumed search."""
        if self.process is not None:
            self.process.stop()

    def leave(self) -> None:
        """Kill its training if it is running, and let other processes claim the trial."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.claim.release()

    def is_running(self) -> bool:
        """Whether its training is still running."""
        return self.process is not None and self.process.poll() is None

    def _next_seed(self) -> int | None:
        return next((seed for seed in self.training.seeds if seed not in self.values), None)

    def _start(self) -> Process:
        assert self.seed is not None
        call = self.training.call(self.claim, self.seed)
        folder = self.training.folder(self.claim, self.seed)
        folder.mkdir(exist_ok=True)
        return Process(call, folder / "output.log", self.environment, self.claim.lock, self.training.grace_s)

    def _report(self) -> None:
        """Report new scores of the first seed, and stop the training if the pruner says so.

        Other seeds are not reported, so that all trials are pruned by scores of the same seed.
        """
        if self.seed != self.training.seeds[0] or self.outcome:
            return
        for epoch, value in self._scores().items():
            if epoch not in self.reported:
                self.reported[epoch] = value
                if self.search.report(self.claim.number, epoch, value):
                    self._stop_with(TrialState.PRUNED, f"stopped by the pruner after epoch {epoch}")
                    return

    def _check_time(self) -> None:
        if self.deadline is not None and self.outcome is None and time.monotonic() > self.deadline:
            self._stop_with(TrialState.FAIL, f"not done within {(self.training.limit_s or 0) / 3600:.3g} h")

    def _stop_with(self, state: TrialState, why: str) -> None:
        self.outcome = (state, why)
        self.stop()

    def _seed_done(self) -> bool:
        values = self._scores().values()
        if not values:
            why = f"no value of {self.training.monitor} in its metrics.csv; monitor= takes one of its columns"
            return self._end(TrialState.FAIL, why, USER_ERROR)
        assert self.seed is not None
        self.values[self.seed] = best(values, self.search.method.direction)
        self.search.note(self.claim.number, "seeds", {str(seed): value for seed, value in self.values.items()})
        self.seed = self._next_seed()
        if self.seed is None:
            return self._end(TrialState.COMPLETE, value=fmean(self.values.values()))
        if self.outcome:
            return self._end(*self.outcome)
        self.process = self._start()
        return False

    def _scores(self) -> dict[int, float]:
        assert self.seed is not None
        return scores(self.training.folder(self.claim, self.seed) / "metrics.csv", self.training.monitor)

    def _end(self, state: TrialState, why: str = "", code: int = 0, value: float | None = None) -> bool:
        if why:
            self.search.note(self.claim.number, "why", why)
            self.search.note(self.claim.number, "exit", code)
        self.search.finish(self.claim.number, state, value)
        self.claim.release()
        return True
