"""Signals end a program, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from run_commands import accept_ctrl_c

from segment.runtime.signals import SIGNALS

NAMES = [number.name for number in SIGNALS]
LISTENS = """
import os, signal, time
from segment.runtime import signals
signals.GRACE_S = 0.5
signals.listen()
"""
# Short sleeps: Python handles a signal that arrives just before a sleep after it.
WAITS = LISTENS + "print('ready', flush=True)\nfor _ in range(600): time.sleep(0.1)\n"
STALLS = (
    LISTENS
    + """
print_once = iter([lambda: print('ready', flush=True)])
while True:
    try:
        next(print_once, bool)()
        time.sleep(0.1)
    except SystemExit:
        print('caught', flush=True)
"""
)
WITH_A_WORKER = (
    LISTENS
    + """
import multiprocessing
def work():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    time.sleep(60)
worker = multiprocessing.get_context('fork').Process(target=work, daemon=True)
worker.start()
time.sleep(60)
"""
)


def start(program: str, **options) -> subprocess.Popen[str]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([sys.executable, "-c", program], text=True, preexec_fn=accept_ctrl_c, **options)


def end(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """Exit code, stdout after its first line and stderr."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_ends_a_program_with_one_line(name):
    process = start(WAITS)
    process.stdout.readline()
    code = 130 if name == "SIGINT" else 143
    assert end(process, signal.Signals[name]) == (code, "", f"ended by {name}\n")


def test_a_program_that_does_not_end_is_killed_after_the_grace_period():
    process = start(STALLS)
    process.stdout.readline()
    started = time.monotonic()
    assert end(process, signal.SIGTERM)[:2] == (143, "caught\n")
    assert time.monotonic() - started > 0.5


def test_a_signal_in_a_destructor_ends_the_program_after_it():
    """Python ignores exceptions in destructors."""
    program = (
        LISTENS.replace("GRACE_S = 0.5", "GRACE_S = 300")
        + """
class Closing:
    def __del__(self):
        print('ready', flush=True)
        time.sleep(60)
Closing()
time.sleep(60)
"""
    )
    process = start(program)
    process.stdout.readline()
    assert end(process, signal.SIGTERM) == (143, "", "ended by SIGTERM\n")


def test_a_second_ctrl_c_ends_the_program_at_once():
    process = start(STALLS.replace("GRACE_S = 0.5", "GRACE_S = 300"))
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "caught\n"
    assert end(process, signal.SIGINT) == (130, "", "ended by SIGINT\n")


def test_a_worker_that_ignores_signals_is_killed_with_its_program():
    process = start(WITH_A_WORKER)
    worker = int(process.stdout.readline())
    assert end(process, signal.SIGTERM) == (143, "", "ended by SIGTERM\n")
    end_of_waiting = time.monotonic() + 20
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end_of_waiting
        time.sleep(0.05)


def test_signals_that_are_ignored_or_handled_are_left_unchanged():
    program = f"""
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, print)
{WAITS}
"""
    process = start(program)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert end(process, signal.SIGTERM)[2] == "ended by SIGTERM\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals")
def test_output_after_the_terminal_is_closed_is_not_an_error(tmp_path):
    """The program can still save its state."""
    saved = tmp_path / "saved"
    program = f"""
import fcntl, termios, sys
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
{LISTENS}
try:
    print('ready', flush=True)
    time.sleep(60)
finally:
    print('saving', flush=True)
    print('saving', file=sys.stderr, flush=True)
    open({str(saved)!r}, 'w').close()
"""
    ours, theirs = os.openpty()
    process = start(program, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    assert os.read(ours, 100).startswith(b"ready")
    os.close(ours)
    assert process.wait(30) == 143
    assert saved.exists()
