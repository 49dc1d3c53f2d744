"""Run every command of docs/resume.md, in order."""

import re
import shlex
from pathlib import Path

import pytest
from run_commands import environment, run

PAGE = Path(__file__).parents[1] / "docs" / "resume.md"
QUICK = ["data.patches_per_epoch=2", "data.batch_size=1", "callbacks.progress=null", "logger=[csv]"]
QUICK += ["preflight=false", "page=false", "callbacks.cases.overlay=false", "callbacks.validation.overlay=false"]


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(tmp_path, smoke_cache):
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = "".join(blocks).splitlines()
    assert len(lines) == 5
    outputs = []
    for line in lines:
        first_run = min(tmp_path.glob("outputs/smoke/*"), default=None)
        if first_run:
            line = line.replace("<date_time>", first_run.name)
        segment, command, *words = shlex.split(line, comments=True)
        assert segment == "segment"
        quick = [] if "from_run" in line else QUICK
        done = run(command, *words, *quick, env=environment(SEGMENT_CACHE=smoke_cache), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert "the scores are equal" in outputs[3]
    assert len(list(tmp_path.glob("outputs/smoke/*"))) == 2
