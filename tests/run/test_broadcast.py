import os
import subprocess
import sys

import pytest

SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}

# Process 0 of a run of three says a word; the others repeat it.
AGREE = """
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
AGREED = "one outputs/x\ntwo outputs/x\n"
TAKEN = "UserError: that folder is taken\n"


@pytest.mark.parametrize(
    ("how", "others", "first"),
    [
        ("works", AGREED, AGREED),
        ("fails", TAKEN, TAKEN),
        ("is refused", f"UserError: the first process failed: {REFUSED}", REFUSED),
    ],
)
def test_all_processes_hear_what_the_first_one_says(how, others, first):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", AGREE, how],
            env=os.environ | SRUN | {"SLURM_JOB_ID": f"{os.getpid()}{how}", "SLURM_PROCID": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (2, 1, 0)
    ]
    assert [child.communicate(timeout=300)[0] for child in children] == [others, others, first]
