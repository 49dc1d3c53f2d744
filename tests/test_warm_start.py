"""Processes of `warm_start` are like those of a new interpreter."""

import signal
from pathlib import Path

import pytest
import warm_start
from run_commands import environment, wait_until

PROGRAM = """
import atexit, os, random, signal, sys
import numpy as np
loaded = "segment" in sys.modules
print(__name__, sys.argv[1:], os.getcwd(), os.environ["COLOR"], loaded, random.random(), np.random.random())
print("an error", file=sys.stderr)
atexit.register(print, "the end")
if sys.argv[1:] == ["wait"]:
    open("waits", "w").close()
    signal.pause()
sys.exit(3)
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def call(*arguments, **options):
        return warm_start.start("program", *arguments, env=environment(COLOR="red"), cwd=tmp_path, **options)

    return call


def test_a_process_has_its_own_folder_environment_output_and_exit_code(start, tmp_path):
    with start("one", "two words") as process:
        out, err = process.communicate()
    assert process.returncode == 3
    assert err == "an error\n"
    first, last = out.splitlines()
    assert first.startswith(f"__main__ ['one', 'two words'] {tmp_path} red False 0.")
    assert last == "the end"
    assert not Path(f"/proc/{process.pid}").exists()


def test_processes_draw_other_random_numbers(start):
    outputs = [process.communicate()[0] for process in (start(), start())]
    one, other = (output.splitlines()[0].split()[-2:] for output in outputs)
    assert not set(one) & set(other)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_process_receives_signals(start, tmp_path, number):
    process = start("wait", start_new_session=True)
    wait_until((tmp_path / "waits").exists, process)
    assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert ("the end" in out) == (number == signal.SIGINT)
