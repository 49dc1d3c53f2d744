import os
import subprocess
import sys


def demo(folder, *overrides):
    # Without an index the demo takes a synthetic CT for the real one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WANDB", "HYDRA", "SEGMENT", "PIP_"))}
    environment |= {"PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-m", "segment.commands.demo", *overrides]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)


def test_the_demo_trains_scores_and_segments_without_an_index(tmp_path):
    done = demo(tmp_path, "experiment=smoke", "data=phantom_small")
    assert done.returncode == 0, done.stderr
    assert "a synthetic one takes its place" in done.stdout
    table = done.stdout[done.stdout.index("Dice, means over patients") :]
    assert all(organ in table for organ in ("liver", "right_kidney", "left_kidney", "spleen", "mean"))
    (run,) = (tmp_path / "outputs" / "demo").iterdir()
    assert {folder.name for folder in run.iterdir()} == {"train", "evaluate", "predict"}
    kinds = {path.name.split("_", 2)[-1] for path in (run / "predict").iterdir()}
    assert {"seg.nii.gz", "overlay.png", "organs.mp4", "volumes.csv"} <= kinds
    assert len(list((run / "evaluate").glob("cases/*/organs.mp4"))) == 2


def test_a_mistake_ends_the_demo_at_its_first_step(tmp_path):
    done = demo(tmp_path, "nonsense=1")
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert not list((tmp_path / "outputs" / "demo").rglob("*.ckpt"))


def test_help_runs_nothing(tmp_path):
    done = demo(tmp_path, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: segment demo")
    assert not list(tmp_path.iterdir())
