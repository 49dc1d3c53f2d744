"""A worker of a search: it runs trials until the budget is used up or a signal stops it."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from optuna.trial import FrozenTrial

from segment.errors import UserError
from segment.search.resources import Clock
from segment.search.study import Search
from segment.search.trial import USER_ERROR, Training, Trial

log = logging.getLogger(__name__)

MAX_SAME_ERRORS = 3  # the search ends after this many trials if all of them failed with the same user error
LOOK_S = 2.0  # time between two looks for a trial to run
PATIENCE_S = 10.0  # how long to wait for trials of other processes: a killed training may take seconds to end
TICK_S = 0.2
# Ctrl-C, the end of a terminal, and the signals by which SLURM announces the end of a job.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class Worker:
    """Runs trials of a search.

    Args:
        search: The search; other processes may work on it at the same time.
        training: How to train a trial.
        slots: Environment variables of the trials that run at the same time, one entry each.
        limit: Number of trials in the search, over all processes; None: unlimited.
        clock: The budget of hours; when it is used up, no trial starts, and the running ones are finished.
        on_trial_end: Called with every trial that this worker has finished.
    """

    def __init__(
        self,
        search: Search,
        training: Training,
        slots: Sequence[Mapping[str, str]],
        limit: int | None,
        clock: Clock,
        on_trial_end: Callable[[FrozenTrial], None],
    ) -> None:
        self.search = search
        self.training = training
        self.slots = slots
        self.limit = limit
        self.clock = clock
        self.on_trial_end = on_trial_end
        self.running: dict[int, Trial] = {}  # by slot
        self.signals = 0
        self.looked_at = -LOOK_S
        self.idle_since: float | None = None

    def run(self) -> bool:
        """Run trials until none is left.

        Returns:
            Whether a signal stopped the worker. The trainings have then saved a checkpoint, and a resumed search
            continues their trials. A second signal kills the trainings.

        Raises:
            UserError: When all trials so far have failed with the same user error.
        """
        with self._counting_signals():
            try:
                while self._start_trials() or self.running or self._may_become_free():
                    time.sleep(TICK_S)
                    # Checked before `_step`, which would record trainings that got the same signal as failed.
                    if self.signals:
                        self._stop()
                        return True
                    self._step()
            finally:
                for trial in self.running.values():
                    trial.leave()
        return False

    def _start_trials(self) -> bool:
        """Start trials in the free slots, and return whether there may be more to start.

        When the hours are used up, only trials that another process has left unfinished are started.
        """
        limit = 0 if self.clock.over() else self.limit
        if len(self.running) == len(self.slots) or time.monotonic() - self.looked_at < LOOK_S:
            return True
        for slot in range(len(self.slots)):
            if slot in self.running:
                continue
            claim = self.search.claim(limit, {trial.claim.number for trial in self.running.values()})
            if claim is None:
                self.looked_at = time.monotonic()
                return False
            params = ", ".join(f"{key}={_format(value)}" for key, value in claim.params.items())
            log.info("trial %d %s: %s", claim.number, "starts" if claim.is_new else "continues", params)
            self.running[slot] = Trial(self.search, claim, self.training, self.slots[slot])
            self.idle_since = None
        return True

    def _may_become_free(self) -> bool:
        """Whether to wait for a trial that another process holds, because that process may be about to end."""
        if self.idle_since is None:
            self.idle_since = time.monotonic()
        if time.monotonic() - self.idle_since >= PATIENCE_S:
            return False
        return any(not trial.state.is_finished() for trial in self.search.trials())

    def _step(self) -> None:
        for slot, trial in list(self.running.items()):
            if trial.step():
                del self.running[slot]
                self.looked_at = -LOOK_S
                self.on_trial_end(self.search.trial(trial.claim.number))
                self._check_same_error()

    def _check_same_error(self) -> None:
        finished = [trial.user_attrs for trial in self.search.trials() if trial.state.is_finished()]
        if len(finished) < min(MAX_SAME_ERRORS, self.limit or MAX_SAME_ERRORS):
            return
        errors = set()
        for attributes in finished:
            is_user_error = attributes.get("exit") == USER_ERROR
            errors.add(attributes["why"] if is_user_error else None)
        if len(errors) == 1 and None not in errors:
            msg = f"every training fails: {errors.pop()}"
            raise UserError(msg)

    def _stop(self) -> None:
        log.warning(
            "stopping %d trials; they continue when the command is resumed; interrupt again to kill them",
            len(self.running),
        )
        for trial in self.running.values():
            trial.stop()
        # `sum`, not `any`: every training is polled, and killed if it takes too long.
        while self.signals < 2 and sum(trial.is_running() for trial in self.running.values()):
            time.sleep(TICK_S)

    @contextmanager
    def _counting_signals(self) -> Iterator[None]:
        """Count the signals that ask the worker to end while the block runs."""

        def note(number: int, frame: FrameType | None) -> None:
            self.signals += 1

        before = {}
        for name in SIGNALS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # `nohup` ignores SIGHUP
                before[number] = signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _format(value: Any) -> str:  # noqa: ANN401
    return f"{value:.4g}" if type(value) is float else str(value)
