"""Options, types and comments of a file of the configuration, as the reference shows them."""

from pathlib import Path

import pytest
from conf_file import Option, read_conf_file
from conf_pages import as_markdown, pages, targets

from segment.configuration.composition import initialized_hydra
from segment.configuration.groups import chosen_files
from segment.configuration.values import config_dir

FILE = """\
# What the file is for.
_target_: segment.data.augment.RandomBlur
# How strong;
# in voxels.
sigma: [0, 0.8]
p: 0.3 # a share
parts:
  # The first.
  first: {_target_: torch.optim.SGD, lr: 0.1}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "blur").mkdir()
    (tmp_path / "blur" / "soft.yaml").write_text(FILE)
    return tmp_path


def test_options_have_whole_keys_types_and_comments(folder):
    file = read_conf_file(folder, "blur/soft")
    assert file.description == "What the file is for."
    assert file.target == "segment.data.augment.RandomBlur"
    rising = "a list of 2, each a number of at least 0 in rising order"
    assert file.options == [
        Option("blur.sigma", "[0, 0.8]", rising, "", "How strong; in voxels."),
        Option("blur.p", "0.3", "a number from 0 to 1", "", "a share"),
        Option("blur.parts.first", "", "", "torch.optim.SGD", "The first."),
        Option("blur.parts.first.lr", "0.1", "a number of at least 0", "", ""),
    ]


def test_a_header_sets_the_package(folder):
    (folder / "blur" / "soft.yaml").write_text("# @package data\nsize: 3\n")
    (option,) = read_conf_file(folder, "blur/soft").options
    assert option.key == "data.size"


def test_a_long_mapping_is_one_option_and_shortened(folder):
    codes = ", ".join(f"structure_{n}: {n}" for n in range(30))
    (folder / "blur" / "soft.yaml").write_text(f"codes: {{{codes}}}\n")
    (option,) = read_conf_file(folder, "blur/soft").options
    assert option.default.startswith("{structure_0: 0, ")
    assert option.default.endswith(", … (30)")


@pytest.mark.parametrize("command", ["train", "sweep", "predict"])
def test_keys_are_those_of_hydra(command):
    conf = Path(config_dir())
    with initialized_hydra(None):
        packages = chosen_files(command)
    for name, package in packages.items():
        file = read_conf_file(conf, name)
        keys = [option.key for option in file.options]
        assert all(key.startswith(f"{package}." if package else "") for key in keys), name


def test_markup_in_a_comment_is_text():
    assert as_markdown("<run>/*.json, `a<b|c`") == "&lt;run>/\\*.json, `a<b\\|c`"


def test_a_page_that_a_comment_names_is_a_link():
    assert as_markdown("see docs/view.md.") == "see [view.md](../view.md)."


def test_classes_of_this_package_are_listed(folder):
    assert targets(folder) == ["segment.data.augment.RandomBlur"]


def test_pages_hold_the_comments_and_link_to_the_classes():
    written = pages(Path(config_dir()))
    trainer = written["configuration/trainer.md"][1]
    assert '| <a id="trainer.devices"></a>`trainer.devices` | `1` |' in trainer
    assert "[`VNet`][segment.model.vnet.VNet]" in written["configuration/model-net.md"][1]
    commands = written["configuration/commands.md"][1]
    assert "[`logger=csv,wandb`](logger.md)" in commands
    assert "before the first epoch, try every step once" in commands
