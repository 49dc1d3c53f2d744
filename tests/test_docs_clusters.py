"""The sweeps of docs/clusters.md request from SLURM what the page says; tests/slurm runs its batch script."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from segment.configuration.values import config_dir

PAGE = (Path(__file__).parents[1] / "docs" / "clusters.md").read_text()
LINES = [line for line in PAGE.splitlines() if line.startswith("segment train -m") and "hydra/launcher=" in line]


def test_the_page_shows_sweeps():
    assert len(LINES) == 3


@pytest.mark.parametrize("line", LINES)
def test_the_sweeps_of_the_page_request_the_right_resources(line):
    _, _, _, *overrides = line.split()
    with initialize_config_dir(config_dir(), version_base="1.3"):
        launcher = compose("train", [o for o in overrides if "=0,1" not in o], return_hydra_config=True).hydra.launcher
    tasks = 1
    if "trainer=ddp" in line:
        tasks = 4 if "devices=4" in line else 2
    assert launcher.tasks_per_node == tasks
    assert launcher.nodes == (2 if "num_nodes=2" in line else 1)
    assert launcher.gpus_per_node == (1 if "gpus_per_node=1" in line else None)
    assert launcher.additional_parameters == {"requeue": True}
