import os
import subprocess
import sys

import pytest

SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}

# Process 0 of a run of three says a word; the others repeat it.
AGREE = """
import sys
from segment.agreement import agreed
from segment.errors import UserError

def choose():
    if sys.argv[1] == "fails":
        raise UserError("that folder is taken")
    return "outputs/x"

try:
    for topic in ("one", "two"):
        print(topic, agreed(topic, choose))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("how", "heard"), [("works", "one outputs/x\ntwo outputs/x\n"), ("fails", "that folder is taken\n")]
)
def test_all_processes_hear_what_the_first_one_says(how, heard):
    children = [
        subprocess.Popen(
            [sys.executable, "-c", AGREE, how],
            env=os.environ | SRUN | {"SLURM_JOB_ID": f"{os.getpid()}{how}", "SLURM_PROCID": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (2, 1, 0)
    ]
    assert [child.communicate(timeout=300)[0] for child in children] == [heard] * 3
