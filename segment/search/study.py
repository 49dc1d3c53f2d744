"""The trials of a search, in a journal that any number of processes write together."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from segment.search.lock import held, hold, open_journal
from segment.search.propose import STUDY, Method, propose


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run, and nobody else.

    Attributes:
        number: The trial's.
        params: Value by key.
        folder: Where it writes.
        lock: Open file whose lock says that the trial is being run; its training inherits it.
        scores: Value by epoch that the journal has already.
        seeds: Value by seed of the trainings that are done.
        is_new: Whether nobody ran it before.
    """

    number: int
    params: Mapping[str, Any]
    folder: Path
    lock: int
    scores: Mapping[int, float]
    seeds: Mapping[int, float]
    is_new: bool

    def release(self) -> None:
        """Let others run it."""
        os.close(self.lock)


class Search:
    """A search in a folder.

    Args:
        folder: Holds `journal.log` and `trials/<number>/`; several processes may work in it at once.
        method: How the search goes; the same in all of them.
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
        """All trials so far, of all processes, in the order of their numbers."""
        return self.storage.get_all_trials(self.id)

    def claim(self, limit: int | None, own: Collection[int]) -> Claim | None:
        """A trial whose process is gone, else a new one.

        Args:
            limit: Trials that the search may have, of whatever end; None: any number.
            own: Trials that this process runs.

        Returns:
            None when there is nothing to run: the limit is reached, or everything was tried.
        """
        # One process at a time, so that no number is given out beyond the limit, and none is both new and left.
        with held(self.folder / ".ask.lock"):
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and trial.number not in own:
                    claim = self._claim(trial.number, is_new=False)
                    if claim is not None:
                        return claim
            if limit is not None and len(trials) >= limit:
                return None
            proposed = propose(trials, self.method)
            if proposed is None:
                return None
            self.study.add_trial(proposed)  # one line of the journal: there is no trial without its parameters
            return self._claim(len(trials), is_new=True)

    def _claim(self, number: int, is_new: bool) -> Claim | None:
        folder = self.folder / "trials" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = hold(folder / ".lock")
        if lock is None:
            return None
        trial = self.trial(number)
        if trial.state != TrialState.RUNNING:  # ended between two looks
            os.close(lock)
            return None
        seeds = {int(seed): value for seed, value in trial.user_attrs.get("seeds", {}).items()}
        return Claim(number, trial.params, folder, lock, trial.intermediate_values, seeds, is_new)

    def trial(self, number: int) -> FrozenTrial:
        """A trial as the journal has it."""
        return self.storage.get_trial(self._id(number))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Record a trial's value in the middle.

        Returns:
            Whether the trial is hopeless.
        """
        self.storage.set_trial_intermediate_value(self._id(number), epoch, value)
        return self.method.pruner.prune(self.study, self.trial(number))

    def note(self, number: int, key: str, value: Any) -> None:  # noqa: ANN401
        """Record a fact of a trial that runs; plain values."""
        self.storage.set_trial_user_attr(self._id(number), key, value)

    def finish(self, number: int, state: TrialState, value: float | None = None) -> None:
        """Record a trial's end; a value goes with COMPLETE, and no other state."""
        self.study.tell(number, value, state)

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.id, number)
