from run_commands import environment, run


def demo(folder, *overrides, **variables):
    # Without a package index the demo uses a synthetic CT.
    env = {name: value for name, value in environment(**variables).items() if not name.startswith("PIP_")}
    return run("demo", *overrides, cwd=folder, env=env | {"PIP_NO_INDEX": "1"})


def test_the_demo_trains_scores_and_segments_without_a_package_index(tmp_path, smoke_cache):
    done = demo(tmp_path, "experiment=smoke", "data=phantom_small", SEGMENT_CACHE=smoke_cache)
    assert done.returncode == 0, done.stderr
    assert "a synthetic CT is used instead" in done.stdout
    table = done.stdout[done.stdout.index("Dice, means over patients") :]
    assert all(organ in table for organ in ("liver", "right_kidney", "left_kidney", "spleen", "mean"))
    (folder,) = (tmp_path / "outputs" / "demo").iterdir()
    assert {path.name for path in folder.iterdir()} == {"train", "evaluate", "predict"}
    kinds = {path.name.split("_", 2)[-1] for path in (folder / "predict").iterdir()}
    assert {"seg.nii.gz", "overlay.png", "organs.mp4", "volumes.csv"} <= kinds
    assert len(list((folder / "evaluate").glob("cases/*/organs.mp4"))) == 2


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
