"""The wheel works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KINDS = ("*.py", "*.yaml", "*.html", "*.css", "*.js")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The content of the wheel, in the layout of an installation."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, str(folder), str(ROOT)], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(site, *arguments):
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=site, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_wheel_has_every_file_of_the_package_and_the_configuration(site):
    for folder, installed in (("segment", "segment"), ("conf", "segment/conf")):
        ours = {p.relative_to(ROOT / folder) for kind in KINDS for p in (ROOT / folder).rglob(kind)}
        assert ours <= {p.relative_to(site / installed) for p in (site / installed).rglob("*")}
    assert not (site / "tests").exists()


def test_commands_find_the_configuration_in_the_wheel(site):
    program = "from segment.configuration.values import config_dir; print(config_dir())"
    assert run(site, "-c", program).strip() == str(site / "segment" / "conf")
    assert "_target_: segment.model.vnet.VNet" in run(site, "-m", "segment", "train", "--cfg", "job")


def test_the_wheel_brings_starter_weights_of_at_most_8_mb(site):
    program = "from segment.checkpoint.starter import checkpoint_path; print(checkpoint_path('starter'))"
    weights = Path(run(site, "-c", program).strip())  # this checks their SHA-256
    assert weights == site / "segment" / "weights" / "starter.ckpt"
    assert weights.stat().st_size <= 8_000_000
