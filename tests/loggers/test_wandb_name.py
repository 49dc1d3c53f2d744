import json

import pytest

from segment.loggers.wandb_name import MAX_LENGTH, run_group, run_name


@pytest.fixture
def folder(tmp_path):
    """Makes a run folder with the given overrides."""

    def make(*overrides, **record):
        folder = tmp_path / "2026-11-29_16-00-41"
        folder.mkdir(exist_ok=True)
        (folder / "environment.json").write_text(json.dumps({"overrides": overrides, **record}))
        (folder / "config.yaml").write_text("task: quick\nseed: 0\nscheduler: null\n")
        return folder

    return make


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["model.net.base_channels=16", "seed=0"], "base_channels=16 seed=0"),
        ([], "quick 2026-11-29_16-00"),
        (["experiment=quick", "preflight=false", "logger.wandb.name=x", "resume=true"], "quick 2026-11-29_16-00"),
        (["split.seed=3", "seed=1"], "split.seed=3 seed=1"),
        (["split.seed=3"], "split.seed=3"),
        (
            ["data.patch_size=[64, 64, 64]", "model.inferer.patch_size=null"],
            "data.patch_size=[64, 64, 64] inferer.patch_size=null",
        ),
        (["model/net=vnet_large", "~callbacks.early_stopping", "+a.b=1"], "net=vnet_large no early_stopping b=1"),
        (["optimizer.lr=0.0012345678", "trainer.max_epochs=100000"], "lr=0.001235 max_epochs=100000"),
        (["from_run=outputs/quick/2026-11-28_10-00-00"], "from_run=2026-11-28_10-00-00"),
        (["data.sources.folder.root='../Anna B/cts/'"], "root=cts"),
        (["data.exclude=[anna/case1,'b/case2']"], "exclude=[case1,'case2']"),
    ],
)
def test_the_name_lists_the_overrides(folder, overrides, name):
    assert run_name(folder(*overrides)) == name


def test_a_long_name_is_cut(folder):
    name = run_name(folder(*(f"a.key{number}=value" for number in range(50))))
    assert len(name) == MAX_LENGTH
    assert name.endswith("…")


def test_a_resume_changes_neither_name_nor_group(folder):
    run = folder("seed=1", sweep="2026-11-29_16-00-00", resumed=[{"overrides": ["seed=1", "trainer.max_epochs=9"]}])
    assert (run_name(run), run_group(run)) == ("seed=1", "quick/2026-11-29_16-00-00")


def test_a_single_run_is_grouped_by_its_task(folder, tmp_path):
    assert run_group(folder()) == "quick"
    assert (run_group(tmp_path), run_name(tmp_path)) == (None, tmp_path.name)
