"""Command lines are checked before the command is imported."""

import subprocess
import sys

import pytest

from segment.configuration.arguments import parse_arguments
from segment.configuration.composition import check_arguments, compose_config, initialized_hydra, spellings
from segment.configuration.help import help_page
from segment.errors import UserError


def check(command, line):
    check_arguments(command, parse_arguments(line), (), f"segment {command}")


def test_correct_arguments_pass():
    check("train", ["experiment=smoke", "trainer.max_epochs=3", "test=no"])
    check("train", ["-m", "seed=0,1", "model/net=unet,vnet", "split.fold=range(2)"])
    check("train", ["hydra/launcher=slurm", "-m", "seed=0,1"])


def test_config_dir_is_searched_before_conf(tmp_path):
    (tmp_path / "model" / "net").mkdir(parents=True)
    (tmp_path / "model" / "net" / "mine.yaml").write_text("_target_: datetime.timedelta\n_partial_: true\nwidth: 3\n")
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "cpu.yaml").write_text("_target_: pytorch_lightning.Trainer\nmax_epoch: 3\n")
    check("train", [f"--config-dir={tmp_path}", "model/net=mine", "trainer=ddp", "~trainer.max_epoch"])
    with pytest.raises(UserError, match=r"there is no option trainer\.max_epoch; did you mean trainer\.max_epochs"):
        check("train", [f"--config-dir={tmp_path}"])
    assert "width: 3" in help_page("train", "", "", ["model/net=mine"], str(tmp_path))


@pytest.mark.parametrize("command", ["train", "curve", "prepare"])
def test_an_experiment_can_set_the_plausible_anatomy(tmp_path, command):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "anatomy").mkdir()
    (tmp_path / "anatomy" / "other.yaml").write_text("defaults: [default]\nvolume_ml: {liver: [1, 2]}\n")
    chosen = "# @package _global_\ndefaults: [{override /anatomy: other}]\n"
    (tmp_path / "experiment" / "chosen.yaml").write_text(chosen)
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nanatomy: {volume_ml: {liver: [7, 8]}}\n")
    with initialized_hydra(str(tmp_path)):
        config = compose_config(command, ["experiment=mine"])
        assert compose_config(command, ["experiment=chosen"]).anatomy.volume_ml.liver == [1, 2]
    assert config.anatomy.volume_ml.liver == [7, 8]
    assert config.anatomy.volume_ml.spleen == compose_default(command).anatomy.volume_ml.spleen
    for experiment in ("mine", "chosen"):
        check(command, [f"--config-dir={tmp_path}", f"experiment={experiment}"])


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_an_experiment_can_set_every_option_of_training(tmp_path, command):
    (tmp_path / "experiment").mkdir()
    options = (
        "{label_check: warn, preflight: only, test: false, page: false, init_from: starter, allow_changed: [seed]}"
    )
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{options}")
    check(command, [f"--config-dir={tmp_path}", "experiment=mine"])


def compose_default(command):
    with initialized_hydra(None):
        return compose_config(command, [])


def test_compose_config_works_within_a_command():
    with initialized_hydra(None):
        assert compose_config("train", ["seed=3"]).seed == 3
        with pytest.raises(UserError, match=r"there is no option sed; did you mean seed=3\?"):
            compose_config("train", ["sed=3"])


def test_spellings_are_the_values_on_the_command_line():
    line = ["a=1e3", "+b='x y'", '++c.d="q"', "~e", "f="]
    assert spellings(line) == {"a": "1e3", "b": "x y", "c.d": "q"}


@pytest.mark.parametrize(
    "command", ["train", "prepare", "doctor", "evaluate", "predict", "export", "compare", "merge", "sweep"]
)
def test_help_shows_every_option_with_its_comment_and_the_groups_of_the_command(command):
    page = help_page(command, "does something", f"segment {command} x=1", [], None)
    assert page.startswith(f"segment {command}: does something\n  segment {command} x=1\n")
    options = {"predict": "# Keep existing masks", "evaluate": "include_trained: false"}
    options |= dict.fromkeys(("export", "merge"), "overwrite: false")
    assert options.get(command, "seed: 0") in page
    assert "defaults:" not in page
    assert "\nhydra:" not in page
    groups = page.partition("Options, set by")[0]
    assert ("experiment" in groups) == (command in ("train", "prepare"))
    assert ("data " in groups) == (command in ("train", "prepare", "doctor", "evaluate"))
    assert "catalogue" not in groups


def test_help_shows_the_chosen_options():
    page = help_page("train", "", "", ["trainer=gpu", "data=[phantom,lidc]"], None)
    assert "cpu*, ddp, gpu*" in page  # gpu includes cpu
    assert "lidc*" in page
    assert "precision: 16-mixed" in page
    with pytest.raises(UserError, match="there is no trainer=gpuu; did you mean gpu"):
        help_page("train", "", "", ["trainer=gpuu"], None)


def test_a_typing_error_is_found_without_importing_torch():
    code = (
        "import sys\n"
        "sys.argv = ['segment', 'train', 'max_epochs=3']\n"
        "from segment.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numpy', 'torchio', 'pytorch_lightning') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
