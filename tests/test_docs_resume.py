"""Every command of docs/resume.md, in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "resume.md"
QUICK = ["data.patches_per_epoch=2", "data.batch_size=1", "callbacks.progress=null", "logger=[csv]"]


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA", "SEGMENT"))}
    environment |= {"OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    block = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line.split("  ")[0] for line in "".join(block).splitlines()]
    assert len(lines) == 5
    said = []
    for line in lines:
        if folder := min(tmp_path.glob("outputs/smoke/*"), default=None):
            line = line.replace("<date_time>", folder.name)
        quick = [] if "from_run" in line else QUICK
        done = subprocess.run(
            f"{line.split(' #')[0]} {' '.join(quick)}",
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "the scores agree" in said[3]
    assert len(list(tmp_path.glob("outputs/smoke/*"))) == 2
