import errno
import os
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from segment.commands.command import hydra_command
from segment.configuration.values import config_dir
from segment.errors import UserError

GIVEN = ["ckpt=a", "input=b", "output=c"]


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


@pytest.fixture
def run(invoke):
    """Run a task as a command; returns exit code, stdout and stderr."""

    def call(task, *arguments, config_name="predict"):
        return invoke(hydra_command(config_name)(task), *arguments)

    return call


def nothing(cfg):
    pass


def failing(error, cause=None):
    def task(cfg):
        raise error from cause

    return task


def test_a_task_gets_the_configuration_and_creates_no_files(run, tmp_path):
    def task(cfg):
        print(cfg.ckpt, cfg.device, HydraConfig.get().job.name)

    code, out, err = run(task, *GIVEN)
    assert (code, out.split()[:2], err) == (0, ["a", "auto"], "")
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.exists()  # empty folders are removed, but not the current one


def test_user_errors_are_one_sentence(run):
    error = UserError("the CT x.nii.gz is truncated; copy it again")
    assert run(failing(error), *GIVEN) == (2, "", f"error: {error}\n")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "check your rights there, or choose another folder"),
        (errno.EROFS, "choose a folder that can be written"),
        (errno.ENOSPC, "free space, or choose a folder on another disk"),
        (errno.EISDIR, "choose another folder, or move this one away"),
        (errno.EIO, "check the disk or network drive, and run the same command again"),
    ],
)
def test_system_errors_have_a_remedy(run, number, remedy):
    error = OSError(number, os.strerror(number), "masks/x.nii.gz")
    assert run(failing(error), *GIVEN) == (2, "", f"error: {os.strerror(number)}: masks/x.nii.gz; {remedy}\n")


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/proc/masks", "No such file or directory: /proc/masks; a folder cannot be created there; choose another one"),
        ("file/masks", "Not a directory: file/masks; choose another folder, or move this one away"),
        ("m" * 300, f"File name too long: {'m' * 300}; choose a shorter name"),
        ("loop/masks", "Too many levels of symbolic links: loop/masks; choose a shorter name, without links"),
    ],
)
def test_a_folder_that_cannot_be_made_is_a_user_error(run, tmp_path, folder, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    code, _, err = run(lambda cfg: Path(cfg.output).mkdir(parents=True), "ckpt=a", "input=b", f"output={folder}")
    assert (code, err.startswith(f"error: {message}")) == (2, True), err
    assert err.count("\n") == 1
    code, _, err = run(nothing, *GIVEN, f"hydra.run.dir={folder}")  # made by Hydra, before the task runs
    assert (code, message in err) == (2, True), err


def test_a_user_error_can_be_the_cause_of_another_error(run):
    code, _, err = run(failing(RuntimeError("worker died"), UserError("bad label")), *GIVEN)
    assert (code, err) == (2, "error: bad label\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), FileNotFoundError(errno.ENOENT, "No such file", "x")])
def test_a_bug_shows_its_traceback_and_ends_with_1(run, error):
    code, _, err = run(failing(error), *GIVEN)
    assert code == 1
    assert "Traceback" in err
    assert type(error).__name__ in err


def test_an_error_while_a_signal_ends_the_process_does_not_hide_the_signal(run):
    def task(cfg):
        try:
            raise SystemExit(143)
        finally:
            msg = "DataLoader worker (pid 1) is killed by signal: Terminated"
            raise RuntimeError(msg)

    code, _, err = run(task, *GIVEN)
    assert (code, err) == (143, "")


def test_the_traceback_of_a_user_error_is_shown_on_request(run, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    code, _, err = run(failing(UserError("bad label")), *GIVEN)
    assert code == 2
    assert "Traceback" in err
    assert "UserError: bad label" in err


@pytest.mark.parametrize("value", [None, "1", "0"])
def test_child_processes_inherit_the_users_environment(run, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("HYDRA_FULL_ERROR", value)
    seen = []
    run(lambda cfg: seen.append(os.environ.get("HYDRA_FULL_ERROR")), *GIVEN)
    assert [seen, os.environ.get("HYDRA_FULL_ERROR")] == [["1" if value == "1" else None], value]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense=1"], "there is no option nonsense; `segment predict --help` lists them"),
        (["ckpt"], "cannot read the override 'ckpt' ("),
        (["ckpt=a=b"], "cannot read the override 'ckpt=a=b' (mismatched input '=' expecting <EOF>); quote"),
        (["ckpt=a"], "no value for input, output; give it, e.g. input=…"),
        (["hydra/job_logging=x"], "there is no hydra/job_logging=x; choose one of "),
        (["ckpt=${nothing}", "input=b", "output=c"], "Interpolation key 'nothing' not found"),
    ],
)
def test_mistakes_on_the_command_line_are_one_sentence(run, arguments, message):
    code, out, err = run(lambda cfg: print(cfg.ckpt), *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert "search path" not in err
    assert "full_key" not in err


def test_an_error_of_a_constructor_names_its_key(run):
    def task(cfg):
        window = {"_target_": "segment.inference.sliding_window.SlidingWindow", "patch_size": [8, 8, 8], "overlap": 9}
        instantiate(OmegaConf.create({"model": {"inferer": window}}))

    code, _, err = run(task, *GIVEN)
    assert code == 2
    assert err == "error: model.inferer: overlap (9, 9, 9) must be below the patch size (8, 8, 8)\n"


def fail_some(cfg):
    """Job c1 has a user error, c2 a bug; the others succeed."""
    print("ran", cfg.output)
    if cfg.output == "c1":
        msg = "bad label"
        raise UserError(msg)
    if cfg.output == "c2":
        raise ZeroDivisionError


@pytest.mark.parametrize(("outputs", "code"), [("c0,c1,c3", 2), ("c1,c2,c3", 1), ("c0,c3", 0)])
def test_a_sweep_continues_after_a_failed_job_and_ends_with_the_worst_code(run, tmp_path, outputs, code):
    result, out, err = run(fail_some, "ckpt=a", "-m", "input=b", f"output={outputs}")
    assert result == code
    assert [line for line in out.splitlines() if line.startswith("ran")] == [f"ran {o}" for o in outputs.split(",")]
    assert err.count("error: bad label") == ("c1" in outputs)
    assert err.count("Traceback") == ("c2" in outputs)
    for number, output in enumerate(outputs.split(",")):
        assert (f"job {number} of the sweep failed" in err) == (output in ("c1", "c2"))
        reasons = {"c1": "failed: bad label", "c2": "failed: ZeroDivisionError()"}
        (line,) = [line for line in out.splitlines() if line.startswith(f"{number}  ")]
        assert f" output={output} " in line
        assert reasons.get(output, "done") in line
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["multirun.yaml"]


def test_an_empty_folder_that_hydra_made_is_removed(run, tmp_path):
    code, _, _ = run(failing(UserError("no such checkpoint")), "ckpt=a", config_name="evaluate")
    assert code == 2
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not list(tmp_path.glob("outputs/evaluate/*"))


def test_the_configuration_is_beside_the_package():
    assert (Path(config_dir()) / "train.yaml").is_file()
