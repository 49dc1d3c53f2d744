"""A process that works on a search: some trials at once, until nothing is left to do or it is told to stop."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from optuna.trial import FrozenTrial

from segment.errors import UserError
from segment.search.clock import Clock
from segment.search.study import Search
from segment.search.trial import MISTAKE, Training, Trial

log = logging.getLogger(__name__)

CAUSES = 3  # trials that fail by the same mistake while none does otherwise, before the search gives up
LOOK_S = 2.0  # between two looks whether there is a trial to run
PATIENCE_S = 10.0  # for trials that others seem to run: what a killed training had started takes seconds to end
TICK_S = 0.2
# Of the keyboard, of a terminal that closes, and those by which SLURM tells a job's end.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


class Worker:
    """Runs trials.

    Args:
        search: Whose trials; other processes may work on it at the same time.
        training: How each is trained.
        slots: Environment variables of the trials that run at the same time, one entry for each.
        limit: Trials that the search may have; None: any number.
        clock: Its budget in hours; when it is used up, no trial begins, and those that have begun are finished.
        ended: Called with every trial that ended here.
    """

    def __init__(
        self,
        search: Search,
        training: Training,
        slots: Sequence[Mapping[str, str]],
        limit: int | None,
        clock: Clock,
        ended: Callable[[FrozenTrial], None],
    ) -> None:
        self.search = search
        self.training = training
        self.slots = slots
        self.limit = limit
        self.clock = clock
        self.ended = ended
        self.running: dict[int, Trial] = {}  # by slot
        self.signals = 0
        self.looked_at = -LOOK_S
        self.idle_since: float | None = None

    def run(self) -> bool:
        """Work until nothing is left.

        Returns:
            Whether it was stopped by a signal: trainings have then saved a checkpoint, and their trials go on
            another time. A second signal kills them.

        Raises:
            UserError: When all trials so far have failed because of the same mistake.
        """
        with self._listening():
            try:
                while self._fill() or self.running or self._waits():
                    time.sleep(TICK_S)
                    if self.signals:  # first, for trainings that got one, too, have not failed
                        self._stop()
                        return True
                    self._step()
            finally:
                for trial in self.running.values():
                    trial.leave()
        return False

    def _fill(self) -> bool:
        """Begin trials in free slots; whether there may be more to begin.

        When the hours are used up, only trials that a process has left are taken up.
        """
        limit = 0 if self.clock.over() else self.limit
        if len(self.running) == len(self.slots) or time.monotonic() - self.looked_at < LOOK_S:
            return True
        for slot in sorted(set(range(len(self.slots))) - self.running.keys()):
            claim = self.search.claim(limit, {trial.claim.number for trial in self.running.values()})
            if claim is None:
                self.looked_at = time.monotonic()
                return False
            chosen = ", ".join(f"{key}={_shown(value)}" for key, value in claim.params.items())
            log.info("trial %d %s: %s", claim.number, "begins" if claim.is_new else "goes on", chosen)
            self.running[slot] = Trial(self.search, claim, self.training, self.slots[slot])
            self.idle_since = None
        return True

    def _waits(self) -> bool:
        """Whether a trial that is held elsewhere may be free in a moment."""
        if self.idle_since is None:
            self.idle_since = time.monotonic()
        is_patient = time.monotonic() - self.idle_since < PATIENCE_S
        return is_patient and any(not trial.state.is_finished() for trial in self.search.trials())

    def _step(self) -> None:
        for slot, trial in list(self.running.items()):
            if trial.step():
                del self.running[slot]
                self.looked_at = -LOOK_S
                self.ended(self.search.trial(trial.claim.number))
                self._check_mistake()

    def _check_mistake(self) -> None:
        ends = [trial.user_attrs for trial in self.search.trials() if trial.state.is_finished()]
        whys = {facts["why"] if facts.get("exit") == MISTAKE else None for facts in ends}
        if len(ends) >= min(CAUSES, self.limit or CAUSES) and len(whys) == 1 and None not in whys:
            msg = f"every training fails: {whys.pop()}"
            raise UserError(msg)

    def _stop(self) -> None:
        log.warning(
            "stopping %d trials, which continue when the sweep is resumed; interrupt again to kill them",
            len(self.running),
        )
        for trial in self.running.values():
            trial.stop()
        while self.signals < 2 and sum(trial.is_running() for trial in self.running.values()):
            time.sleep(TICK_S)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Count signals that ask for the end."""

        def note(number: int, frame: FrameType | None) -> None:
            self.signals += 1

        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        # `nohup` has one ignored, which stays so.
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, note) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _shown(value: Any) -> str:  # noqa: ANN401
    return f"{value:.4g}" if type(value) is float else str(value)
