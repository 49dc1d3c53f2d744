from pathlib import Path
from types import SimpleNamespace

import pytest
from page_data import data_of
from run_commands import environment, run

from segment.commands import demo as module


def demo(folder, *overrides, **variables):
    # Without a package index the demo uses a synthetic CT.
    env = {name: value for name, value in environment(**variables).items() if not name.startswith("PIP_")}
    return run("demo", *overrides, cwd=folder, env=env | {"PIP_NO_INDEX": "1"})


def test_the_demo_trains_scores_and_segments_without_a_package_index(tmp_path, smoke_cache):
    done = demo(tmp_path, "experiment=smoke", "data=phantom_small", "split.test=0.125", SEGMENT_CACHE=smoke_cache)
    assert done.returncode == 0, done.stderr
    assert "a synthetic CT is used instead" in done.stdout
    table = done.stdout[done.stdout.index("Dice, means over patients") :]
    assert "held out" in table
    assert all(organ in table for organ in ("liver", "right_kidney", "left_kidney", "spleen", "mean"))
    (folder,) = (tmp_path / "outputs" / "demo").iterdir()
    assert {path.name for path in folder.iterdir()} == {"train", "predict"}
    (mask,) = (folder / "predict").glob("*_seg.nii.gz")
    case = mask.name.removesuffix("_seg.nii.gz")
    for name in (f"{case}_overlay.png", f"{case}_organs.mp4", "volumes.csv"):
        assert (folder / "predict" / name).exists()
    assert len(list((folder / "train").glob("cases/*/overlay.png"))) == 1
    kinds = {step: data_of(folder / step / "index.html")["kind"] for step in ("train", "predict")}
    assert kinds == {"train": "run", "predict": "prediction"}
    assert (folder / "train" / "curves.png").exists()


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The steps of a demo with a real CT, in which no command runs."""
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(module, "_run", lambda command, *arguments: found.append((command, *arguments)))
    monkeypatch.setattr(module, "_real_ct", lambda cache_dir: Path("real.nii.gz"))
    monkeypatch.setattr(module, "_print_summary", lambda folder, scores, seconds: found.append(list(scores)))
    return found


def test_a_real_ct_is_segmented_first_by_the_starter_weights(steps, invoke):
    code, _, _ = invoke(module.main, "experiment=smoke", "cache_dir=there")
    assert code == 0
    *commands, columns = steps
    names = ["predict", "evaluate", "train", "evaluate", "predict"]
    assert [command for command, *_ in commands] == names
    first, scored, trained, real, last = (" ".join(arguments) for _, *arguments in commands)
    assert "input=real.nii.gz" in first
    assert "ckpt=" not in first  # as a newcomer calls it
    assert "ckpt=starter data=lidc" in scored
    assert "experiment=smoke" in trained
    assert "cache_dir=there" in trained
    assert all("cache_dir='there'" in step for step in (scored, real))
    assert all("best.ckpt" in step for step in (real, last))
    outputs = [step.rpartition("predict")[2] for step in (first, last)]
    assert outputs == ["_starter", ""]  # in different folders
    assert columns == ["real CT, starter weights", "real CT"]  # the table of the test is not there


def test_the_experiment_decides_where_the_real_ct_is_kept(steps, invoke, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "x.yaml").write_text("# @package _global_\noutput_dir: elsewhere\n")
    code, _, _ = invoke(module.main, "--config-dir=mine", "experiment=x")
    assert code == 0
    *commands, _ = steps
    assert [words[-1] for command, *words in commands if command == "evaluate"] == ["cache_dir='elsewhere/cache'"] * 2
    (training,) = [words for command, *words in commands if command == "train"]
    assert training[-2:] == ["--config-dir=mine", "experiment=x"]


def test_without_a_real_ct_the_starter_weights_are_not_shown(steps, invoke, monkeypatch):
    monkeypatch.setattr(module, "_real_ct", lambda cache_dir: None)
    monkeypatch.setattr(module, "_first_image", lambda config, tested: Path("synthetic.nii.gz"))
    invoke(module.main, "experiment=smoke")
    *commands, columns = steps
    assert [command for command, *_ in commands] == ["train", "predict"]
    assert "input=synthetic.nii.gz" in commands[-1]
    assert columns == []


def test_a_ct_that_was_not_held_out_is_named_as_such(tmp_path, monkeypatch, capsys):
    case = SimpleNamespace(id="mine/a", image=Path("a.nii.gz"))
    monkeypatch.setattr(module.configured_cases, "cases", lambda data: [case])
    config = SimpleNamespace(data=None)
    assert module._first_image(config, tmp_path / "cases.csv") == Path("a.nii.gz")
    assert "mine/a, which may have trained, is segmented" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["resume=true", "from_run=outputs/x"])
def test_the_demo_does_not_continue_a_run(invoke, word):
    code, _, err = invoke(module.main, word)
    assert code == 2
    assert "segment demo starts a new training; to resume" in err


def test_a_wrong_option_ends_the_demo_at_its_first_step(tmp_path):
    done = demo(tmp_path, "nonsense=1")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert not list((tmp_path / "outputs" / "demo").rglob("*.ckpt"))


def test_help_runs_nothing(tmp_path):
    done = demo(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: segment demo")
    assert not list(tmp_path.iterdir())


def test_the_summary_lists_the_results_that_exist(tmp_path, capsys):
    (tmp_path / "predict_starter").mkdir()
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "index.html").touch()
    module._print_summary(tmp_path, {}, seconds=90)
    listed = [line.split(": ") for line in capsys.readouterr().out.splitlines() if ":" in line]
    paths = {what: path.strip() for what, path in listed}
    assert paths.pop("time") == "1.5 minutes"
    assert paths["the same by the starter weights"] == f"{tmp_path / 'predict_starter'}/"
    assert paths["page of the training"] == f"{tmp_path / 'train' / 'index.html'}"
    assert len(paths) == 2
