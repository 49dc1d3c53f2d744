"""Segment CTs as they arrive in a folder, until a signal ends the call."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from segment.commands.each_case import process_each
from segment.commands.predict_batch import Batch
from segment.errors import UserError
from segment.inference.inputs.arrivals import Arrivals
from segment.inference.inputs.find_inputs import Input

log = logging.getLogger(__name__)

POLL_S = 2.0  # between two looks at the folders; shorter if a CT settles sooner


def check_watch(cfg: DictConfig, given: Sequence[str], output: Path) -> None:
    """Refuse options that contradict watch=true.

    Raises:
        UserError: When an input is not a folder, the output is one of them, or masks would be overwritten.
    """
    for name in given:
        if not Path(name).is_dir():
            msg = f"watch=true watches folders, and input={name} is none; create it, or leave out watch=true"
            raise UserError(msg)
        if Path(name).resolve() == output.resolve():
            msg = f"watch=true would watch its own output={output}; choose another folder for the masks"
            raise UserError(msg)
    if cfg.overwrite:
        msg = "watch=true keeps the masks in output, so it contradicts overwrite=true; leave out one of them"
        raise UserError(msg)


def watch(batch: Batch, given: Sequence[str], failed: list[str]) -> None:
    """Segment every CT in the folders and every one that arrives, until Ctrl+C or another signal.

    A CT that changes after it was segmented is segmented again. One that failed is tried again when it changes.

    Args:
        batch: The call.
        given: The folders.
        failed: Names and errors of the CTs that failed are appended at the end.
    """
    arrivals = Arrivals(given, batch.output, batch.cfg.settle_s)
    watcher = _Watcher(batch)
    log.info("watching %s; masks go to %s; Ctrl+C ends", ", ".join(given), batch.output)
    try:
        while True:
            ready = arrivals.settled()
            if ready:
                watcher.segment(ready)
                log.info("watching for more CTs")
            time.sleep(min(POLL_S, batch.cfg.settle_s / 4))
    except (KeyboardInterrupt, SystemExit):
        if watcher.current:
            log.warning("%s was interrupted and has no mask; start again to segment it", watcher.current)
        log.info("stopped watching")
    batch.left_out += arrivals.left_out
    failed += watcher.failures.values()


class _Watcher:
    """Segments inputs of a batch, and remembers which failed last.

    Attributes:
        failures: Name and error by name of the input.
        current: Name of the input that is being segmented; empty between two.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.failures: dict[str, str] = {}
        self.current = ""

    def segment(self, inputs: Sequence[Input]) -> None:
        """Segment the inputs that have no mask, or that changed since this call made their mask."""
        for item in inputs:
            if self.batch.manifest.cases.get(item.display_name, {}).get("state") in ("done", "kept"):
                log.info("%s has changed; segmenting it again", item.display_name)
                self.batch.remove(item)
        for item in self.batch.plan(inputs):
            self.failures.pop(item.display_name, None)
            for failure in process_each({item.display_name: item}, self._segment):
                self.failures[item.display_name] = failure
            self.current = ""  # also of a CT that failed, but not of one that a signal interrupts

    def _segment(self, item: Input) -> str:
        self.current = item.display_name
        return self.batch.segment(item)
