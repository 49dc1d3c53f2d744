import os

import pytest
import warm_start
from run_commands import environment
from torch.distributed import DistError

from segment.errors import UserError
from segment.run import broadcast
from segment.run.processes import RankInfo

SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}

# Rank 0 of a run of three chooses texts or fails; all ranks print what they get.
BROADCAST = """
from segment.run.broadcast import broadcast_choice
from segment.errors import UserError

def fail():
    raise UserError("that folder is taken")

def be_refused():
    raise PermissionError(13, "Permission denied", "outputs")

for topic, choose in (("one", lambda: "outputs/x"), ("two", lambda: "outputs/y"), ("a", fail), ("b", be_refused)):
    try:
        print(topic, broadcast_choice(topic, choose))
    except Exception as error:
        print(topic, f"{type(error).__name__}: {error}")
"""

CHOSEN = ["one outputs/x", "two outputs/y", "a UserError: that folder is taken"]
REFUSED = "PermissionError: [Errno 13] Permission denied: 'outputs'"


def test_all_ranks_get_the_choices_and_errors_of_rank_zero(tmp_path):
    (tmp_path / "ranks.py").write_text(BROADCAST)
    children = [
        warm_start.start("ranks", env=environment(**SRUN, SLURM_JOB_ID=os.getpid(), SLURM_PROCID=rank), cwd=tmp_path)
        for rank in (2, 1, 0)
    ]
    *others, first = (child.communicate(timeout=300)[0].splitlines() for child in children)
    assert first == [*CHOSEN, f"b {REFUSED}"]
    assert others == [[*CHOSEN, f"b UserError: the first process failed: {REFUSED}"]] * 2


def test_processes_that_cannot_connect_are_a_user_error(monkeypatch):
    def refuse(info):
        raise DistError

    monkeypatch.setattr(broadcast, "rank_info", lambda: RankInfo(1, 3, 0, 1, "node1", 29500))
    monkeypatch.setattr(broadcast, "_store", refuse)
    message = "the 3 processes of this run cannot connect to each other at node1:29500; look for an earlier error"
    with pytest.raises(UserError, match=message):
        broadcast.broadcast_choice("folder", lambda: "outputs/x")
