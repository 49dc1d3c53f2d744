"""Checkpoints in the middle of an epoch: now and then, and when a signal says that the run has to end."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

log = logging.getLogger(__name__)

# The end of a SLURM job is told by the signal it was submitted with (SIGUSR1 or SIGUSR2), or by SIGTERM.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
STOPPED = 128 + signal.SIGTERM  # exit code; as a shell tells it
STOPPED_BY_HAND = 128 + signal.SIGINT
PATIENCE_S = 120
Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def ending_well() -> Iterator[None]:
    """Let a block that is told to end by a signal end the process with `STOPPED`.

    So do SIGUSR1 and SIGUSR2 where nobody handles them, and Lightning's way to end a test at SIGTERM, which would
    look like success.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    free = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in free:
        signal.signal(number, _end)
    try:
        yield
    except SystemExit as stop:
        raise SystemExit(STOPPED if stop.code is None else stop.code) from stop
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(STOPPED)


class Interrupt(Checkpoint):
    """Write the checkpoint `last` within epochs, so that a run that is stopped loses little or nothing.

    It is written at the end of a training step: after every `minutes`, and when a signal has come. Then the signal goes
    on to who handled it before; where nobody did, the run ends with exit code 143, or 130 after Ctrl+C, and a second
    Ctrl+C ends it at once. submitit requeues the job at SIGUSR2 and lets it go on at SIGTERM: SLURM does not requeue a
    job that ends between the SIGTERM of a pre-emption and its SIGKILL. A signal during validation ends the run at once:
    the epoch's last steps are done again.

    No checkpoint is written between the batches whose gradients add up to one step, nor after the last batch of an
    epoch: the epoch's own follows its validation.

    Args:
        path: The file, which the checkpoint at the end of an epoch replaces.
        minutes: Time between two checkpoints, at least; 0: one after every step.
    """

    # Lightning calls checkpoints after all other callbacks: these have finished with the step.

    def __init__(self, path: str | Path, minutes: float) -> None:
        self.path = Path(path)
        self.minutes = minutes
        self.saved_at = time.monotonic()
        self.received: int | None = None
        self.before: dict[int, Handler] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember who handles signals, before Lightning does, whose way to stop saves nothing."""
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        if self.before[signal.SIGINT] == signal.SIG_IGN:  # in the background of a script
            del self.before[signal.SIGINT]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen to signals."""
        self.saved_at = time.monotonic()
        for number in self.before:
            signal.signal(number, self._note)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Save if it is time to, or to end."""
        if trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        # Processes save together, so all must want it.
        ends = trainer.strategy.reduce_boolean_decision(self.received is not None, all=False)
        due = time.monotonic() - self.saved_at >= 60 * self.minutes
        if ends or trainer.strategy.reduce_boolean_decision(due, all=False):
            trainer.save_checkpoint(self.path)
            self.saved_at = time.monotonic()
        if ends:
            log.warning("told to end: saved after step %d; go on with resume=true", trainer.global_step)
            self._pass_on(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:  # noqa: ANN401
        """End if a signal has come."""
        if self.received is not None:
            log.warning("told to end during validation; go on with resume=true")
            self._pass_on(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave signals to who handled them before, also one that came after the last step and validation."""
        for number, handler in self.before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if self.received is not None:
            log.warning("told to end after training; go on with resume=true")
            self._pass_on(trainer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self.received == signal.SIGINT:
                signal.default_int_handler(number, frame)
            log.warning("Ctrl+C: the run ends when this step is saved; Ctrl+C once more ends it at once")
        self.received = number

    def _pass_on(self, trainer: pl.Trainer) -> None:
        number = self.received or signal.SIGTERM  # another process has got the signal
        handler = self.before.get(number)
        self.received = None
        if number == signal.SIGINT:  # Python's own handler would have Lightning tear down a run that is saved
            raise SystemExit(STOPPED_BY_HAND)
        if not callable(handler):
            raise SystemExit(STOPPED)
        handler(number, None)
        if number != signal.SIGTERM and not trainer.is_global_zero:
            # The first process requeues the job, which kills this one; should it end first, it might take that along.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            time.sleep(PATIENCE_S)
            raise SystemExit(STOPPED)
