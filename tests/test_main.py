"""The command `segment`, as a shell starts it."""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from segment import __version__
from segment.__main__ import COMMANDS

SEGMENT = str(Path(sys.executable).with_name("segment"))
HEAVY = ["torch", "pytorch_lightning", "monai", "torchio", "wandb", "matplotlib"]
HYDRA = ["hydra", "omegaconf"]
# Runs the command and prints which of the slow packages it has imported.
SPY = f"""
import atexit, sys
atexit.register(lambda: print("imported:", *(name for name in {HEAVY + HYDRA} if name in sys.modules), file=sys.stderr))
from segment.__main__ import main
main()
"""


def spy(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", SPY, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (imported,) = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("imported:")]
    return done.stdout, imported


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands_with_examples_and_imports_no_slow_package(arguments):
    out, imported = spy(*arguments)
    assert imported == []
    for name, (what, example) in COMMANDS.items():
        assert any(line.split()[:1] == [name] and what in line for line in out.splitlines())
        assert example in out
        assert example.startswith(f"segment {name}")


def test_the_version_is_printed():
    out, imported = spy("--version")
    assert (out, imported) == (f"segment {__version__}\n", [])


@pytest.mark.parametrize("arguments", [["train", "--cfg", "job"], ["predict", "--help"]])
def test_help_and_configuration_of_a_command_do_not_import_torch(arguments):
    out, imported = spy(*arguments)
    assert imported == HYDRA
    assert ("_target_: segment.model.vnet.VNet" if arguments[0] == "train" else "Keep existing masks") in out


def test_an_unknown_command_is_refused():
    done = subprocess.run([SEGMENT, "trian", "x=1"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no command trian; did you mean train?\n"


def test_a_command_runs_in_a_process(tmp_path):
    done = subprocess.run(
        [SEGMENT, "predict", "ckpt=x", "output=y"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no value for input; give it, e.g. input=…\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [("train", "trainer:"), ("evaluate", "ckpt: ???"), ("predict", "ckpt: starter"), ("doctor", "anatomy:")],
)
def test_commands_are_modules_too(command, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{command}.py", "--cfg", "job"])
    monkeypatch.delitem(sys.modules, f"segment.commands.{command}", raising=False)
    runpy.run_module(f"segment.commands.{command}", run_name="__main__", alter_sys=True)
    assert words in capsys.readouterr().out


def completed(line):
    """The completions that a real bash offers for a line."""
    words = line.split() + [""] * line.endswith(" ")
    script = f"""
        eval "$({SEGMENT} -sc install=bash)"
        complete -p segment
        COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)} COMP_CWORD={len(words) - 1}
        hydra_bash_completion
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    path = f"{Path(SEGMENT).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True
    )
    rule, *offered = done.stdout.splitlines()
    assert rule.split()[-2:] == ["hydra_bash_completion", "segment"]
    return offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("segment pred", ["predict"]),
        ("segment do", ["doctor"]),
        ("segment doctor str", ["strict="]),
        ("segment train exp", ["experiment="]),
        ("segment train experiment=s", ["experiment=seed", "experiment=smoke", "experiment=starter"]),
        ("segment evaluate pictures=false data=fl", ["data=flare22"]),
        ("segment  predict overw", ["overwrite="]),
        ("segment demo x", [""]),
        ("segment merge augm", [""]),
        ("segment predict s", ["series=", "settle_s=", "straighten="]),
        ("segment sweep sa", ["sampler.", "sampler="]),
        ("segment view re", ["reference=", "reference_codes="]),
        ("segment compare experiment=", [""]),
        ("segment ", list(COMMANDS)),
    ],
)
def test_the_tab_key_completes(line, offered):
    assert completed(line) == offered


def test_the_tab_key_finds_a_folder_of_configuration(tmp_path):
    (tmp_path / "model" / "net").mkdir(parents=True)
    (tmp_path / "model" / "net" / "mine.yaml").write_text("width: 3\n")
    assert completed(f"segment train --config-dir={tmp_path} model/net=m") == ["model/net=mine"]
    assert completed(f"segment train --config-dir {tmp_path} model/net=m") == ["model/net=mine"]
    assert completed(f"segment train --config-dir={tmp_path}/nowhere model/net=une") == ["model/net=unet"]


def test_completion_does_not_import_torch():
    out, imported = spy("-sc", "query=bash", COMP_LINE="segment train model/net=un", COMP_POINT="26")
    assert (out.split(), imported) == (["model/net=unet"], HYDRA)
