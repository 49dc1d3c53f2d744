"""Searches that use the stand-in training. As a script, run one worker, which a test can kill."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import stand_in
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from segment.search.propose import Method
from segment.search.resources import Clock
from segment.search.space import read_space
from segment.search.study import Search
from segment.search.trial import Training
from segment.search.worker import Worker

LR = {"low": 0.1, "high": 0.9}


def search(folder: Path, space: Mapping[str, Any] | None = None, pruner: Any = None) -> Search:
    method = Method(
        read_space(space or {"lr": LR}),
        "maximize",
        TPESampler,
        pruner or MedianPruner(n_startup_trials=1000),
        seed=7,
    )
    return Search(folder, method)


def training(*overrides: str, seeds: int = 1, limit_s: float | None = None, grace_s: float = 10) -> Training:
    command = [sys.executable, stand_in.__file__]
    return Training(command, overrides, stand_in.MONITOR, range(seeds), limit_s, grace_s)


def worker(search: Search, training: Training, limit: int | None, slots: int = 1, hours: float | None = None) -> Worker:
    clock = Clock(search.folder / "clock.json", hours)
    return Worker(search, training, [{}] * slots, limit, clock, lambda trial: None)


def _slow(seed: int) -> TPESampler:
    time.sleep(0.05)
    return TPESampler(seed=seed)


def claim_all(folder: Path, limit: int, processes: int) -> list[int]:
    """Claim trials until the limit is reached, together with other processes; returns the numbers of our trials.

    All processes start at the same time, and each trial ends at once.
    """
    mine, numbers = search(folder), []
    (folder / f"{os.getpid()}.ready").touch()
    while len(list(folder.glob("*.ready"))) < processes:
        time.sleep(0.01)
    mine.method = replace(mine.method, make_sampler=_slow)  # gives the others time to claim the same trial
    while (claim := mine.claim(limit, ())) is not None:
        numbers.append(claim.number)
        mine.finish(claim.number, TrialState.FAIL)
        claim.release()
    return numbers


def main() -> None:
    folder, limit, slots, limit_s, space, *overrides = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    trainings = training(*overrides, limit_s=float(limit_s), grace_s=0.5)
    stopped = worker(search(Path(folder), json.loads(space)), trainings, int(limit), int(slots)).run()
    sys.exit(143 if stopped else 0)


if __name__ == "__main__":
    main()
