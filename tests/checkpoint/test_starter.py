from pathlib import Path

import pytest
import tiny

from segment.checkpoint import load_ensemble as ensemble
from segment.checkpoint.starter import checkpoint_path
from segment.errors import UserError


def test_only_the_word_starter_names_the_file_in_the_package(starter, tmp_path, monkeypatch):
    assert checkpoint_path("starter") == starter
    monkeypatch.chdir(tmp_path)
    own = tiny.write_checkpoint(tmp_path / "starter")
    for name in ("./starter", "starter.ckpt", "runs/starter", str(own)):
        assert checkpoint_path(name) == Path(name)
    assert checkpoint_path(own) == own
    assert ensemble.load("./starter").sha256 == ensemble.load(str(own)).sha256


@pytest.mark.parametrize("suffix", [".ckpt", ".sha256"])
def test_a_missing_file_is_named_with_the_ways_out(starter, suffix):
    starter.with_suffix(suffix).unlink()
    message = rf"this installation has no starter weights: there is no starter\{suffix} in the package; reinstall it"
    with pytest.raises(UserError, match=message):
        checkpoint_path("starter")


@pytest.mark.parametrize("damage", ["weights", "checksum", "empty checksum"])
def test_a_damaged_file_is_refused(starter, damage):
    checkpoint_path("starter")
    if damage == "weights":
        starter.write_bytes(starter.read_bytes()[:-1])
    else:
        starter.with_suffix(".sha256").write_text("0" * 64 + "  starter.ckpt\n" if damage == "checksum" else "")
    with pytest.raises(UserError, match="the starter weights of this installation are damaged: their SHA-256 is"):
        checkpoint_path("starter")


def test_members_of_an_ensemble_may_be_the_starter_weights(starter, tmp_path):
    own = tiny.write_checkpoint(tmp_path / "own.ckpt")
    assert ensemble.load(["starter", str(own)]).organs == tiny.ORGANS
    with pytest.raises(UserError, match=r"no such checkpoint: .*nothing\.ckpt"):
        ensemble.load(["starter", str(tmp_path / "nothing.ckpt")])
