"""Downloads in separate processes: killed, two at once, on a full disk."""

import hashlib
import random
import shutil
import subprocess
import sys
import time

import pytest
from scripted_server import Script

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CHILD = """
import logging, resource, sys
from pathlib import Path
from segment.datasets.fetch import download
from segment.errors import UserError
logging.basicConfig(level=logging.WARNING)
url, target, limit = sys.argv[1:]
if limit != "0":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    download.download(url, Path(target))
except UserError as error:
    sys.exit(f"error: {error}")
"""


def start(url, target, limit=0):
    command = [sys.executable, "-c", CHILD, url, str(target), str(limit)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_download_is_right_after_kills_at_random_moments(server, tmp_path):
    script = Script(CONTENT, pause_s=0.002)  # 0.4 s for all
    url = server.serve("killed.zip", script)
    target = tmp_path / "x.zip"
    moments = random.Random(2)
    kept = []
    for _ in range(10):
        asked = len(script.asked)
        child = start(url, target)
        wait_for(lambda asked=asked, child=child: len(script.asked) > asked or child.poll() is not None)
        time.sleep(moments.uniform(0, 0.15))
        child.kill()
        child.communicate()
        assert not target.exists() or target.read_bytes() == CONTENT
        kept.append((tmp_path / "x.zip.part").stat().st_size if (tmp_path / "x.zip.part").exists() else 0)
        part = CONTENT[: kept[-1]]
        assert not kept[-1] or (tmp_path / "x.zip.part").read_bytes() == part
    child = start(url, target)
    assert child.communicate()[1].count("error") == 0
    assert target.read_bytes() == CONTENT
    assert any(header for header in script.asked), "nothing was resumed"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zip", "x.zip.sha256"]


def test_a_kill_between_the_last_two_steps_leaves_nothing_behind(server, tmp_path):
    url = server.serve("last.zip", Script(CONTENT))
    target = tmp_path / "x.zip"
    assert start(url, target).communicate()[1].count("error") == 0
    (tmp_path / "x.zip.part.json").write_text("{}")  # the target is in place, its note not yet removed
    assert start(url, target).communicate()[1].count("error") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zip", "x.zip.sha256"]


def test_the_second_of_two_processes_waits_and_nothing_is_downloaded_twice(server, tmp_path):
    script = Script(CONTENT, pause_s=0.005)
    url = server.serve("two.zip", script)
    target = tmp_path / "x.zip"
    children = [start(url, target), start(url, target)]
    outputs = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert script.asked == [None]
    assert sum("another process is writing" in text for text in outputs) == 1
    assert target.read_bytes() == CONTENT
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zip", "x.zip.sha256"]


def test_a_full_disk_is_reported_and_the_bytes_so_far_are_kept(server, tmp_path):
    script = Script(CONTENT)
    url = server.serve("full.zip", script)
    target = tmp_path / "x.zip"
    child = start(url, target, limit=1_000_000)
    output = child.communicate()[1]
    assert child.returncode == 1
    assert output.count("\n") == 1
    assert "no room is left" in output
    assert not target.exists()
    child = start(url, target)
    child.communicate()
    assert target.read_bytes() == CONTENT
    assert script.asked == [None, "bytes=1000000-"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs to mount a file system")
def test_a_disk_that_becomes_full_during_the_download_is_reported(server, tmp_path):
    # Without a length, the size cannot be checked in advance.
    url = server.serve("tmpfs.zip", Script(CONTENT, headers={"Content-Length": None}))
    mount = f'mount -t tmpfs -o size=1m none {tmp_path} || exit 77; exec {sys.executable} -c "$1" {url} {tmp_path}/x 0'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", CHILD], capture_output=True, text=True, check=False
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("may not mount here")
    assert done.returncode == 1
    assert "no room is left" in done.stderr
    assert "Traceback" not in done.stderr
