import getpass
import hashlib
import json
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from segment import __version__
from segment.run import provenance
from segment.run.provenance import environment


def git(folder, *command):
    author = ["-c", "user.name=Jane Doe", "-c", "user.email=jane@example.org"]
    done = subprocess.run(["git", *author, *command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one commit, from which the code appears to run."""
    (tmp_path / "segment").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "folder.yaml").write_text("root: x\n")
    (tmp_path / "notes.md").write_text("a\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "segment" / "run" / "provenance.py"))
    return tmp_path


def test_clean_checkout_is_recorded_as_its_commit(checkout):
    assert environment(0, [])["git"] == {"sha": git(checkout, "rev-parse", "HEAD"), "diff": "", "untracked": {}}


def test_only_changed_and_new_code_is_recorded(checkout):
    (checkout / "conf" / "folder.yaml").write_text("root: /home/jane/patients/flare22\n")
    (checkout / "segment" / "mynet.py").write_text("1\n")
    (checkout / "segment" / "mÿ net.py").write_text("2\n")
    large = b"#" * 200_000
    (checkout / "segment" / "large.py").write_bytes(large)
    (checkout / "segment" / "odd.bin").write_bytes(b"\xff\xfe")
    git(checkout, "add", "segment/odd.bin")
    (checkout / "notes.md").write_text("Jane's notes\n")
    (checkout / "data").mkdir()
    (checkout / "data" / "Doe^Jane.nii.gz").touch()
    found = environment(0, [])["git"]
    assert found["untracked"].pop("segment/large.py") == f"sha256:{hashlib.sha256(large).hexdigest()}"
    assert found["untracked"] == {"segment/mynet.py": "1\n", "segment/mÿ net.py": "2\n"}
    lines = found["diff"].splitlines()
    assert "+root: flare22" in lines
    assert "--- a/conf/folder.yaml" in lines
    assert "jane" not in json.dumps(found).lower()


def test_git_settings_of_the_user_do_not_change_the_record(checkout):
    git(checkout, "config", "color.ui", "always")
    git(checkout, "config", "diff.external", "false")
    (checkout / "conf" / "folder.yaml").write_text("root: y\n")
    assert environment(0, [])["git"]["diff"].splitlines()[-2:] == ["-root: x", "+root: y"]


def test_no_git_record_without_a_commit_or_a_checkout(checkout, tmp_path, monkeypatch, caplog):
    git(checkout, "update-ref", "-d", "HEAD")
    assert environment(0, [])["git"] is None
    assert "the version of the code is not recorded: fatal: " in caplog.text  # git's own reason
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "site-packages" / "segment" / "run" / "provenance.py"))
    assert environment(0, [])["git"] is None


def test_no_git_record_without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert environment(0, [])["git"] is None


def test_versions_hardware_and_call_are_recorded_without_names(monkeypatch):
    monkeypatch.setattr(platform, "node", lambda: "the-host")
    recorded = environment(3, ["seed=3", f"output_dir={Path.home() / 'my sets' / 'out'}", "data=folder"])
    assert (recorded["segment"], recorded["seed"]) == (__version__, 3)
    assert recorded["packages"]["torch"] == torch.__version__
    assert recorded["overrides"] == ["seed=3", "output_dir=out", "data=folder"]
    text = json.dumps(recorded)
    for secret in (str(Path.home()) + "/", str(Path.cwd()), "the-host", f"/{getpass.getuser()}/"):
        assert secret not in text
