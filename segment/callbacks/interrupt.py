"""Checkpoints in the middle of an epoch: now and then, and when a signal says that the run has to end."""

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

from segment.bounds import NotNegative, in_range
from segment.runtime.signals import SIGNALS, STOPPED, STOPPED_BY_HAND, Handler, leave_closed_terminal, listen, say

log = logging.getLogger(__name__)

REQUEUE_S = 120  # until the first process has requeued the job of the others
STEP_S = 30.0  # what a step may take beyond STEPS times the longest so far, until it counts as stalled
STEPS = 4


@contextmanager
def ending_well() -> Iterator[None]:
    """Let signals that nobody handles end a block, and the process, with `STOPPED`; Ctrl+C is the caller's.

    So does Lightning's way to end a test at SIGTERM, which would look like success.
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
    """Write the checkpoint `last` within epochs, so that a run that is stopped loses little or nothing.

    It is written at the end of a training step: after every `minutes`, and when a signal has come. Then the signal goes
    on to who handled it before; where nobody did, the run ends with exit code 143, or 130 after Ctrl+C, and a second
    Ctrl+C ends it at once. submitit requeues the job at SIGUSR2 and lets it go on at SIGTERM: SLURM does not requeue a
    job that ends between the SIGTERM of a pre-emption and its SIGKILL. A signal during validation ends the run at once:
    the epoch's last steps are done again. A step that does not end, because its batch does not come, is not waited for
    longer than `STEP_S` and `STEPS` times the longest step so far.

    No checkpoint is written between the batches whose gradients add up to one step, nor after the last batch of an
    epoch: the epoch's own follows its validation.

    Args:
        path: The file, which the checkpoint at the end of an epoch replaces.
        minutes: Time between two checkpoints, at least; 0: one after every step.
    """

    # Lightning calls checkpoints after all other callbacks: these have finished with the step.

    @in_range
    def __init__(self, path: str | Path, minutes: NotNegative) -> None:
        self.path = Path(path)
        self.minutes = minutes
        self.saved_at = self.step_ended_at = time.monotonic()
        self.longest_s = 0.0
        self.is_first = True  # of the run's processes
        self.received: int | None = None
        self.before: dict[int, Handler] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember who handles signals, before Lightning does, whose way to stop saves nothing."""
        self.is_first = trainer.is_global_zero
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in (signal.SIGINT, signal.SIGHUP):  # in the background of a script, and under `nohup`
            if self.before[number] == signal.SIG_IGN:
                del self.before[number]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals."""
        self.saved_at = time.monotonic()
        for number in self.before:
            signal.signal(number, self._note)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The first step begins with the wait for its batch."""
        self.step_ended_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Save if it is time to, or to end."""
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self.step_ended_at)
        self.step_ended_at = now
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        # Processes save together, so all must want it.
        ends = trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)
        due = time.monotonic() - self.saved_at >= 60 * self.minutes
        if ends or trainer.strategy.reduce_boolean_decision(due, all=False):
            trainer.save_checkpoint(self.path)
            self.saved_at = time.monotonic()
        if ends:
            log.warning("stopped by a signal: saved after step %d; resume with resume=true", trainer.global_step)
            self._pass_on()

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:  # noqa: ANN401
        """End if a signal has come."""
        if self.received is not None:
            log.warning("stopped by a signal during validation; resume with resume=true")
            self._pass_on()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave signals to who handled them before, also one that came after the last step and validation."""
        for number, handler in self.before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self.received is not None:
            log.warning("stopped by a signal after training; resume with resume=true")
            self._pass_on()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == self.received == signal.SIGINT:
            self._pass_on()
        self.received = number
        leave_closed_terminal()
        if self.is_first:
            say(f"{signal.Signals(number).name}: the run ends when this step is saved; Ctrl+C twice ends it at once")
        signal.signal(signal.SIGALRM, self._give_up)
        signal.setitimer(signal.ITIMER_REAL, STEP_S + STEPS * self.longest_s)

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        """End a run whose step does not."""
        if self.received is not None:
            log.warning(
                "stopped by a signal within a step that does not end; resume from the last checkpoint with resume=true"
            )
            self._pass_on()

    def _pass_on(self) -> None:
        number = self.received or signal.SIGTERM  # another process has got the signal
        handler = self.before.get(number)
        self.received = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not callable(handler) or handler is signal.default_int_handler:
            # Python's own handler would have Lightning tear down a run that is saved.
            raise SystemExit(STOPPED_BY_HAND if number == signal.SIGINT else STOPPED)
        handler(number, None)
        if number != signal.SIGTERM and not self.is_first:
            # The first process requeues the job, which kills this one; should it end first, it might take that along.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(REQUEUE_S)
            raise SystemExit(STOPPED)
