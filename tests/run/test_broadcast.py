import os
import subprocess
import sys

import pytest
from torch.distributed import DistError

from segment.errors import UserError
from segment.run import broadcast
from segment.run.processes import RankInfo

SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}

# Rank 0 of a run of three chooses a text; all ranks print it.
BROADCAST = """
import sys
from segment.run.broadcast import broadcast_choice
from segment.errors import UserError

def choose():
    if sys.argv[1] == "fails":
        raise UserError("that folder is taken")
    if sys.argv[1] == "is refused":
        raise PermissionError(13, "Permission denied", "outputs")
    return "outputs/x"

try:
    for topic in ("one", "two"):
        print(topic, broadcast_choice(topic, choose))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


REFUSED = "PermissionError: [Errno 13] Permission denied: 'outputs'\n"
CHOSEN = "one outputs/x\ntwo outputs/x\n"
TAKEN = "UserError: that folder is taken\n"


@pytest.mark.parametrize(
    ("how", "others", "first"),
    [
        ("works", CHOSEN, CHOSEN),
        ("fails", TAKEN, TAKEN),
        ("is refused", f"UserError: the first process failed: {REFUSED}", REFUSED),
    ],
)
def test_all_ranks_get_the_choice_or_the_error_of_rank_zero(how, others, first):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", BROADCAST, how],
            env=os.environ | SRUN | {"SLURM_JOB_ID": f"{os.getpid()}{how}", "SLURM_PROCID": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (2, 1, 0)
    ]
    assert [child.communicate(timeout=300)[0] for child in children] == [others, others, first]


def test_processes_that_cannot_connect_are_a_user_error(monkeypatch):
    def refuse(info):
        raise DistError

    monkeypatch.setattr(broadcast, "rank_info", lambda: RankInfo(1, 3, 0, 1, "node1", 29500))
    monkeypatch.setattr(broadcast, "_store", refuse)
    message = "the 3 processes of this run cannot connect to each other at node1:29500; look for an earlier error"
    with pytest.raises(UserError, match=message):
        broadcast.broadcast_choice("folder", lambda: "outputs/x")
