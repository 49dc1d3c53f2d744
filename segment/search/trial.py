"""One trial: a training for each seed, watched until it ends or has to."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from optuna.trial import TrialState

from segment.search.process import Process
from segment.search.space import override, quoted
from segment.search.study import Claim, Search
from segment.search.watch import best, reason, scores

MISTAKE = 2  # exit code of a training for what its user has to mend


@dataclass(frozen=True)
class Training:
    """How every trial is trained.

    Attributes:
        command: Program and first arguments, such as `python -m segment.commands.train`.
        overrides: Arguments of every trial, before those of its own.
        monitor: The metric to be searched for, as metrics.csv calls it.
        seeds: Seeds of a trial's trainings, one after the other; its value is the mean of theirs.
        limit_s: How long a trial may take since it was begun or taken up again; None: any time.
        grace_s: How long a training may take to save a checkpoint when it is told to end.
    """

    command: Sequence[str]
    overrides: Sequence[str]
    monitor: str
    seeds: Sequence[int]
    limit_s: float | None
    grace_s: float = 60

    def folder(self, claim: Claim, seed: int) -> Path:
        """The run folder of one seed's training."""
        return claim.folder if len(self.seeds) == 1 else claim.folder / f"seed{seed}"

    def call(self, claim: Claim, seed: int) -> list[str]:
        """Program and arguments; a run that was begun goes on."""
        folder = self.folder(claim, seed)
        begun = (folder / "config.yaml").exists()
        return [
            *self.command,
            *self.overrides,
            *(override(key, value) for key, value in claim.params.items()),
            f"seed={seed}",
            f"hydra.run.dir={quoted(str(folder))}",
            f"resume={str(begun).lower()}",
        ]


class Trial:
    """A trial that this process runs.

    Args:
        search: Where it is recorded.
        claim: The trial.
        training: How it is trained.
        variables: Environment beside this process's own.
    """

    def __init__(self, search: Search, claim: Claim, training: Training, variables: Mapping[str, str]) -> None:
        self.search = search
        self.claim = claim
        self.training = training
        self.environment = {**os.environ, **variables}
        self.values = dict(claim.seeds)
        self.reported = dict(claim.scores)
        self.deadline = None if training.limit_s is None else time.monotonic() + training.limit_s
        self.ending: tuple[TrialState, str] | None = None  # decided, and its training was told
        self.seed = self._next_seed()
        self.process = self._start() if self.seed is not None else None

    def step(self) -> bool:
        """Look at it.

        Returns:
            Whether it has ended and is recorded.
        """
        if self.process is None or self.seed is None:  # stopped between its last training and its record
            return self._end(TrialState.COMPLETE, value=fmean(self.values.values()))
        code = self.process.poll()
        self._report()
        if code is None:
            self._check_time()
            return False
        if code == 0:  # also if it was told to end, but was done before
            return self._seed_done()
        state, why = self.ending or (TrialState.FAIL, reason(code, self.process.tail()))
        return self._end(state, why, code)

    def stop(self) -> None:
        """Ask its training to save a checkpoint and end; the trial stays open, to go on another time."""
        if self.process is not None:
            self.process.stop()

    def leave(self) -> None:
        """Make sure that nothing of it runs, and let others take it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.claim.release()

    def is_running(self) -> bool:
        """Whether its training has not ended."""
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
        """Hand on what is new; only the first seed's, so that trials are compared by the same."""
        if self.seed != self.training.seeds[0] or self.ending:
            return
        for epoch, value in self._scores().items():
            if epoch not in self.reported:
                self.reported[epoch] = value
                if self.search.report(self.claim.number, epoch, value):
                    self._tell_to_end(TrialState.PRUNED, f"hopeless after epoch {epoch}")
                    return

    def _check_time(self) -> None:
        if self.deadline is not None and self.ending is None and time.monotonic() > self.deadline:
            self._tell_to_end(TrialState.FAIL, f"not done within {(self.training.limit_s or 0) / 3600:.3g} h")

    def _tell_to_end(self, state: TrialState, why: str) -> None:
        self.ending = (state, why)
        self.stop()

    def _seed_done(self) -> bool:
        values = self._scores().values()
        if not values:
            why = f"no value of {self.training.monitor} in its metrics.csv; monitor= takes one of its columns"
            return self._end(TrialState.FAIL, why, MISTAKE)
        assert self.seed is not None
        self.values[self.seed] = best(values, self.search.method.direction)
        self.search.note(self.claim.number, "seeds", {str(seed): value for seed, value in self.values.items()})
        self.seed = self._next_seed()
        if self.seed is None:
            return self._end(TrialState.COMPLETE, value=fmean(self.values.values()))
        if self.ending:
            return self._end(*self.ending)
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
