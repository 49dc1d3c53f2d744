from hydra import compose, version
from hydra.core.global_hydra import GlobalHydra

from segment.configuration.hydra_internals import initialize_with_folders
from segment.configuration.values import config_dir


def test_this_version_of_hydra_searches_the_other_folders_before_conf(tmp_path):
    """If this fails after an upgrade of Hydra, adapt `initialize_with_folders`."""
    for name, lr in (("first", 1), ("second", 2)):
        (tmp_path / name / "optimizer").mkdir(parents=True)
        (tmp_path / name / "optimizer" / "adam.yaml").write_text(f"lr: {lr}\n")
    (tmp_path / "second" / "optimizer" / "own.yaml").write_text("lr: 3\n")
    version.setbase("1.3")
    initialize_with_folders(config_dir(), [str(tmp_path / "first"), str(tmp_path / "second")])
    try:
        assert compose("train", ["optimizer=adam"]).optimizer.lr == 1
        assert compose("train", ["optimizer=own"]).optimizer.lr == 3
        assert compose("train", ["optimizer=sgd"]).optimizer.momentum == 0.99
    finally:
        GlobalHydra.instance().clear()
