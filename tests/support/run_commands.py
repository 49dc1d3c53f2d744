"""Run commands of the package in processes of their own, and compose their configurations.

The fixture `invoke` of conftest.py runs a command in the test's process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import warm_start
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from segment.configuration.values import config_dir

Process = subprocess.Popen[str] | warm_start.Process


def config(command: str, *overrides: str) -> DictConfig:
    """The composed configuration of a command."""
    with initialize_config_dir(config_dir(), version_base="1.3"):
        return compose(command, list(overrides))


def environment(**variables: object) -> dict[str, str]:
    """This process's environment without settings of W&B, Hydra and the package, with one thread.

    Args:
        variables: Variables to add, e.g. `SEGMENT_CACHE`.
    """
    ours = ("WANDB", "HYDRA", "SEGMENT")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in variables.items()}


def start(
    command: str, *overrides: object, env: dict[str, str] | None = None, cold: bool = False, **options: Any
) -> Process:
    """Start `segment <command>`.

    Args:
        command: Its name.
        overrides: Its arguments.
        env: Its environment; None: `environment()`.
        cold: Start a new interpreter, rather than a process that has imported torch already (see `warm_start`).
        options: `cwd` and `start_new_session` of `subprocess.Popen`.
    """
    call = [f"segment.commands.{command}", *map(str, overrides)]
    env = environment() if env is None else env
    if not cold:
        return warm_start.start(*call, env=env, **options)
    return subprocess.Popen(
        [sys.executable, "-m", *call],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=accept_ctrl_c,
        **options,
    )


def run(command: str, *overrides: object, timeout: float = 600, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `segment <command>` to its end; arguments as of `start`."""
    with start(command, *overrides, **options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def accept_ctrl_c() -> None:
    """Restore the default handler of SIGINT, which a shell disables for background jobs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(condition: Callable[[], object], process: Process, seconds: float = 300) -> None:
    """Wait until a condition holds, while a process runs.

    Raises:
        AssertionError: When the process ends first, or the time is over.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
