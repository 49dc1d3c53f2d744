import subprocess
import sys

# Runs in an interpreter of its own, because pytest's own imports use the same functions.
PROGRAM = """
import gc
from segment.runtime import garbage
usual = gc.get_threshold()
garbage.collect_as_usual()
assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, 0)  # nothing to restore
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
garbage.collect_rarely()
garbage.collect_rarely()
kept = [[] for _ in range(50_000)]
assert not collections
garbage.collect_as_usual()
assert gc.get_threshold() == usual
assert gc.get_freeze_count() > 50_000
more = [[] for _ in range(1_000)]
assert collections
"""


def test_garbage_is_collected_rarely_until_the_imports_are_done():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


# A command, as `python -m segment.commands.merge` starts it.
COMMAND = """
import gc, sys
usual = gc.get_threshold()
from segment.runtime.start import set_up_process
set_up_process()
assert gc.get_threshold() != usual
from segment.commands.command import hydra_command
def task(cfg):
    assert gc.get_threshold() == usual
    assert gc.get_freeze_count() > 50_000
sys.argv = ["segment", "runs=[x]", "hydra.run.dir=."]
hydra_command("merge")(task)()
"""


def test_a_command_collects_as_usual_when_it_runs(tmp_path):
    subprocess.run([sys.executable, "-c", COMMAND], cwd=tmp_path, check=True)
