"""`segment plan`, on small CTs in a folder."""

import json
import sys
from types import SimpleNamespace

import pytest
import torch
from small_ct import write_case

from segment.__main__ import main
from segment.commands import plan as command
from segment.data.splits.random_split import RandomSplit
from segment.datasets.sources.folder import Folder
from segment.files import write_text

ORGANS = "organs=[liver,spleen]"


@pytest.fixture
def run(invoke, tmp_path, monkeypatch):
    """Run the command in an empty folder, on six small CTs."""
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        write_case(tmp_path / "set", f"case{number}", seed=number)
    data = ["data=folder", f"data.sources.folder.root={tmp_path / 'set'}", "data.num_workers=0"]
    codes = "data.sources.folder.label_codes={liver:5,spleen:2,other:[7,9]}"

    def call(*options):
        return invoke(command.main, *data, codes, ORGANS, "device=cpu", "hours=0.2", *options)

    return call


def test_a_plan_is_written_and_compared(run, tmp_path):
    code, out, err = run("name=mine")
    assert code == 0, err
    text = (tmp_path / "plans/experiment/mine.yaml").read_text()
    assert text in out
    assert "# segment train experiment=mine data=folder" in text
    assert "run it by `segment train experiment=mine data=folder data.sources.folder.root=" in out
    assert f"'{ORGANS}'`" in out  # hours, device and name are not options of training
    assert "# segment train experiment=mine data=folder data.sources.folder.root=set " in text
    assert "# Absolute paths are shortened to their last part; complete them before use." in text
    assert "init_from: starter" in text  # six patients
    code, _, err = run("name=mine")
    assert (code, err) == (2, "error: plans/experiment/mine.yaml exists; choose another name=, or overwrite=true\n")
    assert run("name=mine", "overwrite=true")[0] == 0
    assert (tmp_path / "plans/experiment/mine.yaml").read_text() == text
    assert run("name=shorter", "hours=0.01", "fingerprint=plans/fingerprints/mine.json")[0] == 0
    code, out, _ = run("explain=[mine,shorter]")
    assert code == 0
    assert "no difference" in out  # in the data
    assert "trainer.max_epochs" in out
    assert "about as many as the starter weights were trained for, need less than hours=0.2; more were" in out
    assert "fill hours=0.01, with 15 % for" in out
    assert "spacing_mm" not in out.split("recipe")[1]
    assert run("name=gpu", "hours=1", "device=24GB", "fingerprint=plans/fingerprints/mine.json")[0] == 0
    assert 'B "gpu"  # planned for a GPU with 24 GB' in run("explain=[mine,gpu]")[1]


def test_a_fingerprint_alone_is_enough(run, invoke, tmp_path):
    assert run("name=mine")[0] == 0
    alone = ["fingerprint=plans/fingerprints/mine.json", "device=24GB", "hours=1"]
    code, _, err = invoke(command.main, *alone)
    assert code == 2
    assert "organs=[liver,right_kidney,left_kidney,spleen] are not those of fingerprint=plans" in err
    assert "; give organs=[liver,spleen]" in err
    code, out, err = invoke(command.main, *alone, ORGANS)
    assert code == 0, err
    assert "plan: plans/experiment/planned_folder.yaml; run it by `segment train" in out
    assert f"experiment=planned_folder data=folder '{ORGANS}'`" in out


def test_the_split_of_the_command_is_counted_and_named_in_the_file(run, tmp_path):
    ids = [f"folder/case{number}" for number in range(6)]
    write_text(tmp_path / "split.json", json.dumps({"train": ids[:2], "val": ids[2:5], "test": ids[5:]}))
    code, _, err = run("name=mine", "split=file", "split.path=split.json")
    assert code == 0, err
    text = (tmp_path / "plans/experiment/mine.yaml").read_text()
    assert "# split: as split=file says; 2 CTs train and 3 validate" in text
    assert "for 5 CTs of 5 patients" in text  # without those that test
    assert "a validation of 3 CTs" in text
    assert " split=file split.path=split.json" in text.splitlines()[1]


def test_the_test_cases_of_a_random_split_are_not_measured(run, tmp_path):
    """One of six tests; the share of validation is that of all six."""
    assert run("name=mine")[0] == 0
    ids = RandomSplit(val=0.3, test=0.2, seed=0)(
        Folder(tmp_path / "set", {"liver": 5, "spleen": 2}).cases("folder")
    ).ids()
    write_text(tmp_path / "split.json", json.dumps(ids))
    assert run("name=stated", "split=file", "split.path=split.json")[0] == 0
    mine, stated = (
        json.loads((tmp_path / f"plans/fingerprints/{name}.json").read_text()) for name in ("mine", "stated")
    )
    assert mine == stated
    assert (mine["cases"], mine["test_patients"]) == (5, 1)
    text = " ".join((tmp_path / "plans/experiment/mine.yaml").read_text().replace("#", "").split())
    assert "2 of 6 patients choose the best epoch val: 0.3" in text
    assert "a validation of 2 CTs" in text


def test_a_plan_needs_patients_who_do_not_test(run, monkeypatch):
    """For example, if the authors of a data set reserve all of them."""
    monkeypatch.setattr(RandomSplit, "test_patients", lambda _, cases: {case.patient for case in cases})
    code, _, err = run()
    assert code == 2
    assert "all patients test, so there is nothing to plan for; choose another split" in err


def test_without_a_share_for_the_test_all_cases_are_measured(run, tmp_path):
    assert run("name=mine", "split.test=0")[0] == 0
    facts = json.loads((tmp_path / "plans/fingerprints/mine.json").read_text())
    assert (facts["cases"], facts["test_patients"]) == (6, 0)


def test_synthetic_cts_from_label_maps_are_counted_but_not_measured(run, tmp_path):
    """They have other voxels, and neither validate nor test."""
    made = ["data=[folder,labelmaps]", "data.sources.labelmaps.variants=2", "data.sources.labelmaps.spacing_mm=[9,9,9]"]
    assert run("name=real")[0] == 0
    code, _, err = run(*made, "name=both", "data.sources.labelmaps.workers=0")
    assert code == 0, err
    real, both = (json.loads((tmp_path / f"plans/fingerprints/{name}.json").read_text()) for name in ("real", "both"))
    assert (both["cases"], both["patients"], both["test_patients"], both["made"]) == (5, 5, 1, 10)
    assert both["with_tissues"] == 10
    same = both.keys() - {"name", "made", "with_tissues"}
    assert {key: both[key] for key in same} == {key: real[key] for key in same}
    text = " ".join((tmp_path / "plans/experiment/both.yaml").read_text().replace("#", "").split())
    assert "for 5 CTs of 5 patients, and 10 CTs synthesised from label maps; median" in text
    assert "a validation of 2 CTs" in text
    assert "10 of 15 CTs have a tissue map" in text


def test_a_plan_needs_real_cts(run):
    code, _, err = run("data=[folder,labelmaps]", "data.sources.labelmaps.instead=true")
    assert (code, "all CTs are synthesised from label maps, which only train, so there is" in err) == (2, True)


def test_what_is_no_plan_cannot_be_explained(run, tmp_path):
    for text in ("", "- 1", "a: [", "defaults: [_self_]"):
        write_text(tmp_path / "odd.yaml", text)
        code, _, err = run("explain=[odd.yaml,odd.yaml]")
        assert code == 2
        assert "odd.yaml is not a plan (" in err


@pytest.mark.parametrize(
    "option",
    [
        *("spacing_mm=[2,2,2]", "data.batch_size=1", "trainer=gpu", "trainer.max_epochs=3", "split.val=0.2"),
        *("model=vnet", "model/net=dynunet", "++model.net.base_channels=4"),
    ],
)
def test_what_a_plan_chooses_is_refused_as_an_option(run, tmp_path, option):
    """It would not be followed, and the command that runs the plan would replace the plan's choice by it."""
    code, _, err = run(option)
    assert code == 2
    key = option.lstrip("+").partition("=")[0]
    assert f"{key} is what a plan chooses, by data, hours=, device=, net= and init_from=; leave it out" in err
    assert not (tmp_path / "plans").exists()


def test_the_starter_weights_keep_their_preprocessing(run):
    code, _, err = run("preprocess=ct")
    assert code == 2
    assert "preprocess: the starter weights need the preprocessing that they were trained with" in err


def test_what_a_plan_leaves_at_its_default_is_kept_in_its_command(run):
    code, out, err = run("model/criterion=focal", "seed=3", "trainer.devices=2", "callbacks.cases=null")
    assert code == 0, err
    assert " model/criterion=focal seed=3 trainer.devices=2 callbacks.cases=null" in out


def test_the_weights_to_begin_with_are_an_option_of_the_plan_only(run, tmp_path):
    code, out, err = run("++init_from=null", "name=mine")
    assert code == 0, err
    assert "init_from: null\n" in (tmp_path / "plans/experiment/mine.yaml").read_text()
    assert "init_from" not in out.splitlines()[-1]
    code, out, err = run("init_from=starter", "hours=1", "fingerprint=plans/fingerprints/mine.json", "name=other")
    assert code == 0, err
    assert "init_from: starter\n" in out
    assert "init_from" not in out.splitlines()[-1]
    lines = run("explain=[mine,other]")[1].splitlines()
    where = lines.index("  init_from")
    assert lines[where + 1] == "    A -  # as init_from=null asks"
    assert lines[where + 2].startswith('    B "starter"  # as init_from=starter asks; voxels')


def test_data_that_trained_the_starter_weights_are_named(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["data.sources.phantom.num_cases=3", "data.sources.phantom.shape=[24,24,20]", "data.num_workers=0"]
    options = ["split.test=0", "device=cpu", "hours=0.2"]
    code, _, err = invoke(command.main, *small, *options)
    assert code == 0, err
    assert "were trained or selected on 3 CTs with the names of these, e.g. phantom/phantom_0000; with these" in err
    code, out, err = invoke(command.main, *small, *options, "init_from=null", "name=b")
    assert (code, "init_from: null\n" in out, "were trained or selected on" in err) == (0, True, False)
    code, out, err = invoke(command.main, *small, *options, "data.sources.phantom.seed=5", "name=c")
    assert (code, "init_from: starter\n" in out, "were trained or selected on" in err) == (0, True, False)


def test_other_folders_must_be_named(run):
    code, out, _ = run("name=mine", "folder=elsewhere")
    assert code == 0
    assert "--config-dir=elsewhere`" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["name=quick"], "name=quick is an experiment that comes with segment; choose another name"),
        (["explain=[a]"], "explain=['a'] must name two plans"),
        (["explain=[a,b]"], "cannot read plans/experiment/a.yaml: No such file or directory; explain= takes two names"),
        (["name=../mine"], "name=../mine must begin with a letter and have letters, digits, - and _ only"),
        (["name=mine.yaml"], "name=mine.yaml must begin with a letter"),
        (
            ["experiment=abdomen"],
            "experiment=abdomen: a plan is an experiment of its own; give data= and other options",
        ),
        (["hours=inf"], "hours must be a number from 0 to 10000, but not 0, got inf"),
        (["net=vnet_paper"], "net=vnet_paper cannot be planned: it is the network of a paper"),
        (["net=other"], "net=other cannot be planned; choose one of vnet, dynunet, unet, segresnet"),
        (["device=gpu"], "device=gpu is neither cpu nor the memory of a GPU"),
    ],
)
def test_mistakes_are_refused(run, options, message):
    code, _, err = run(*options)
    assert code == 2
    assert message in err


def test_a_gpu_of_this_machine_that_is_too_small_is_refused(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=1_050_000_000))
    code, _, err = run("device=null")
    assert code == 2
    assert "device=1GB is neither cpu nor the memory of a GPU" in err


def test_every_command_finds_the_plans_in_the_current_folder(tmp_path, monkeypatch, capsys):
    write_text(tmp_path / "plans/experiment/mine.yaml", "# @package _global_\ntask: found\n")
    monkeypatch.chdir(tmp_path)
    for command_name in ("train", "prepare"):
        monkeypatch.setattr(sys, "argv", ["segment", command_name, "experiment=mine", "--cfg", "job"])
        main()
        assert "task: found" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["segment", "train", "--help"])
    main()
    assert "mine" in capsys.readouterr().out
