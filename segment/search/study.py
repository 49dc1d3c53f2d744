"""The trials of a search, in a journal to which any number of processes write."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from segment.search.lock import held, hold, open_journal
from segment.search.propose import STUDY, Method


@dataclass(frozen=True)
class Claim:
    """A trial that only this process may run.

    Attributes:
        number: Number of the trial.
        params: Values by key.
        folder: Folder of the trial.
        lock: Descriptor of the lock file; its lock shows that the trial is running, and the training inherits it.
        scores: Values by epoch that the journal already holds.
        seeds: Values of the finished trainings by seed.
        is_new: Whether no process has run it before.
    """

    number: int
    params: Mapping[str, Any]
    folder: Path
    lock: int
    scores: Mapping[int, float]
    seeds: Mapping[int, float]
    is_new: bool

    def release(self) -> None:
        """Let other processes run it."""
        os.close(self.lock)


class Search:
    """A search in a folder.

    Args:
        folder: Holds `journal.log` and `trials/<number>/`; several processes may use it at the same time.
        method: Space, sampler and pruner; the same in all processes.
    """

    def __init__(self, folder: Path, method: Method) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.method = method
        self.storage = open_journal(folder / "journal.log")
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=STUDY,
            direction=method.direction,
            sampler=method.make_sampler(seed=method.seed),
            pruner=method.pruner,
            load_if_exists=True,
        )
        self.id = self.storage.get_study_id_from_name(STUDY)

    def trials(self) -> list[FrozenTrial]:
        """All trials of all processes so far, by number."""
        return self.storage.get_all_trials(self.id)

    def claim(self, limit: int | None, own: Collection[int]) -> Claim | None:
        """Claim a trial whose process has ended, or else a new one.

        Args:
            limit: Number of trials in the search, including failed and pruned ones; None: unlimited.
            own: Numbers of the trials that this process is running.

        Returns:
            None if there is nothing to run: the limit is reached, or every configuration was tried.
        """
        # Only one process at a time, so that the limit holds and no trial is claimed twice.
        with held(self.folder / ".ask.lock"):
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and trial.number not in own:
                    claim = self._claim(trial.number, is_new=False)
                    if claim is not None:
                        return claim
            if limit is not None and len(trials) >= limit:
                return None
            proposed = self.method.propose(trials)
            if proposed is None:
                return None
            self.study.add_trial(proposed)  # a single line of the journal, so every trial in it has its parameters
            return self._claim(len(trials), is_new=True)

    def _claim(self, number: int, is_new: bool) -> Claim | None:
        folder = self.folder / "trials" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = hold(folder / ".lock")
        if lock is None:
            return None
        trial = self.trial(number)
        if trial.state != TrialState.RUNNING:  # it ended after `claim` read the journal
            os.close(lock)
            return None
        seeds = {int(seed): value for seed, value in trial.user_attrs.get("seeds", {}).items()}
        return Claim(number, trial.params, folder, lock, trial.intermediate_values, seeds, is_new)

    def trial(self, number: int) -> FrozenTrial:
        """The present state of a trial in the journal."""
        return self.storage.get_trial(self._id(number))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record the value of a running trial after an epoch.

        Returns:
            Whether to prune the trial.
        """
        self.storage.set_trial_intermediate_value(self._id(number), epoch, value)
        return self.method.pruner.prune(self.study, self.trial(number))

    def note(self, number: int, key: str, value: Any) -> None:  # noqa: ANN401
        """Record an attribute of a running trial; the value must be plain data."""
        self.storage.set_trial_user_attr(self._id(number), key, value)

    def finish(self, number: int, state: TrialState, value: float | None = None) -> None:
        """Record the end of a trial; only COMPLETE takes a value."""
        self.study.tell(number, value, state)

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.id, number)
