"""Checkpoints within an epoch: at regular intervals, and when a signal asks the run to end."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from segment.bounds import NonNegativeFloat, in_range
from segment.runtime.signals import SIGNALS, STOPPED, STOPPED_BY_HAND, Handler, leave_closed_terminal, listen, say

log = logging.getLogger(__name__)

REQUEUE_S = 120  # the other processes wait this long for the first one to requeue the job
STEP_S = 30.0  # a step counts as stalled after STEP_S plus STEPS times the longest step so far
STEPS = 4


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Exit with code `STOPPED` when a signal that nothing else handles arrives within the block.

    SIGINT (Ctrl+C) is left to the caller. When SIGTERM arrives during a test, Lightning raises SystemExit without a
    code, which would look like success. That exit gets the code `STOPPED`, too.
    """
    before = listen([number for number in SIGNALS if number != signal.SIGINT])
    try:
        yield
    except SystemExit as stop:
        raise SystemExit(STOPPED if stop.code is None else stop.code) from stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupt(Checkpoint):
    """Write a checkpoint within epochs, so that an interrupted run loses little or no work.

    The checkpoint is written at the end of a training step: every `minutes`, and when a signal has arrived. After a
    signal, the handler that was installed before this one is called. Without such a handler, the run ends with exit
    code 143, or 130 after Ctrl+C. A second Ctrl+C ends it at once.

    - submitit requeues the job at SIGUSR2 and ignores SIGTERM. The run must continue after that SIGTERM, because SLURM
      does not requeue a job that ends between the SIGTERM of a preemption and its SIGKILL.
    - A signal during validation ends the run at once. A resume repeats the last steps of that epoch.
    - A step may never end, for example because its batch does not arrive. The run waits for it for at most `STEP_S`
      plus `STEPS` times the longest step so far.

    No checkpoint is written while gradients are being accumulated, nor after the last batch of an epoch, because the
    epoch's own checkpoint follows after its validation.

    Args:
        path: The checkpoint file. The checkpoint at the end of an epoch replaces it.
        minutes: Minimum time between two checkpoints; 0 writes one after every step.
    """

    # The base class is `Checkpoint` because Lightning calls checkpoints after all other callbacks.

    @in_range
    def __init__(self, path: str | Path, minutes: NonNegativeFloat) -> None:
        self.path = Path(path)
        self.minutes = minutes
        self.saved_at = self.step_ended_at = time.monotonic()
        self.longest_s = 0.0  # duration of the longest step so far
        self.is_first = True  # whether this process has rank 0
        self.received: int | None = None
        self.before: dict[int, Handler] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Store the current signal handlers, before Lightning installs its own, which save nothing."""
        self.is_first = trainer.is_global_zero
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        # A process in the background of a script, or under `nohup`, ignores these two, and must continue to do so.
        for number in (signal.SIGINT, signal.SIGHUP):
            if self.before[number] == signal.SIG_IGN:
                del self.before[number]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handlers."""
        self.saved_at = time.monotonic()
        for number in self.before:
            signal.signal(number, self._receive)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to time the first step, which includes the wait for its batch."""
        self.step_ended_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Save if a checkpoint is due or a signal has arrived; end the run after a signal."""
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self.step_ended_at)
        self.step_ended_at = now
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        # Saving is a collective operation, so all processes must take the same decision.
        ends = trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)
        due = time.monotonic() - self.saved_at >= 60 * self.minutes
        if ends or trainer.strategy.reduce_boolean_decision(due, all=False):
            trainer.save_checkpoint(self.path)
            self.saved_at = time.monotonic()
        if ends:
            log.warning("stopped by a signal: saved after step %d; resume with resume=true", trainer.global_step)
            self._call_previous_handler()

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:  # noqa: ANN401
        """End the run if a signal has arrived."""
        if self.received is not None:
            log.warning("stopped by a signal during validation; resume with resume=true")
            self._call_previous_handler()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the previous handlers, and handle a signal that arrived after the last step and validation."""
        for number, handler in self.before.items():
            if signal.getsignal(number) == self._receive:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self.received is not None:
            log.warning("stopped by a signal after training; resume with resume=true")
            self._call_previous_handler()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Record a signal, and set an alarm for a step that does not end."""
        if number == self.received == signal.SIGINT:
            self._call_previous_handler()
        self.received = number
        leave_closed_terminal()
        if self.is_first:
            say(f"{signal.Signals(number).name}: the run ends when this step is saved; Ctrl+C twice ends it at once")
        signal.signal(signal.SIGALRM, self._end_stalled_step)
        signal.setitimer(signal.ITIMER_REAL, STEP_S + STEPS * self.longest_s)

    def _end_stalled_step(self, number: int, frame: FrameType | None) -> None:
        """End the run without a checkpoint, because the current step does not end."""
        if self.received is not None:
            log.warning(
                "stopped by a signal within a step that does not end; resume from the last checkpoint with resume=true"
            )
            self._call_previous_handler()

    def _call_previous_handler(self) -> None:
        """Call the handler that was installed before this one, or exit if there is none."""
        number = self.received or signal.SIGTERM  # None if only another process got the signal
        handler = self.before.get(number)
        self.received = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not callable(handler) or handler is signal.default_int_handler:
            # Python's own handler raises KeyboardInterrupt, which Lightning would treat as an aborted run.
            raise SystemExit(STOPPED_BY_HAND if number == signal.SIGINT else STOPPED)
        handler(number, None)
        if number != signal.SIGTERM and not self.is_first:
            # The first process requeues the job, which kills this process. If this one ended first, the whole job
            # might end before it is requeued.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(REQUEUE_S)
            raise SystemExit(STOPPED)
