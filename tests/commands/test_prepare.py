"""`segment prepare`, on synthetic data in the layouts of the public sets, from a server on this machine."""

import csv
import os

import numpy as np
import pytest
from layouts import CASES, LAYOUTS, do_by_hand
from public_sets import on_this_machine
from run_commands import config
from scripted_server import Script, running
from synthetic_ct import volume

from segment.commands import configured_cases, prepare
from segment.configuration.instantiate import instantiate
from segment.datasets.fetch import download
from segment.datasets.fetch.obtain import obtain
from segment.errors import UserError

ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]
KNOWN = {"chaos_ct": ["liver"], "msd_liver": ["liver"], "msd_spleen": ["spleen"], "kits23": ORGANS[1:3]}


@pytest.fixture(scope="module")
def server():
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def _local_server(tmp_path, monkeypatch, server):
    """Downloads come from this machine, over a connection that drops once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download, "PAUSE_S", 0)

    def obtain_locally(entry, folder, accept_licence):
        local, _ = on_this_machine(
            entry, server, folder.name, lambda content: Script(content, drops=[len(content) // 3])
        )
        return obtain(local, folder, accept_licence)

    monkeypatch.setattr(prepare, "obtain", obtain_locally)


def run(*arguments):
    cfg = config("prepare", "experiment=smoke", "cache_dir=cache", *arguments)
    prepare.prepare(cfg)
    return cfg


def number_of(name):
    return int("".join(filter(str.isdigit, name.rpartition("/")[2].replace("FLARE22", ""))))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_organs_of_every_public_set_are_at_their_positions(tmp_path, name):
    do_by_hand(name, tmp_path / "cache" / "sets" / name)
    organs = KNOWN.get(name, ORGANS)
    cfg = run(f"data={name}", f"organs=[{','.join(organs)}]", "accept_licence=true", "spacing_mm=[3,3,5]")
    cases = configured_cases.cases(cfg.data)
    assert sorted(case.id for case in cases) == sorted(f"{name}/{case}" for case in CASES[name])
    for case in cases:
        original, scan = volume(number_of(case.id)), case.read()
        classes = case.label.read(scan, case.image, organs)
        if name == "chaos_ct":  # DICOM: axes run from right to left and from front to back
            classes = classes[::-1, ::-1]
        expected = np.select([original.masks[organ] for organ in organs], range(1, 1 + len(organs)))
        assert np.array_equal(classes, expected)
    with (tmp_path / "cache" / "manifests" / f"{name}.csv").open() as file:
        assert [row["case"] for row in csv.DictReader(file)] == [case.id for case in cases]
    stored = list((tmp_path / "cache" / "volumes").glob("[!.]*"))
    assert len(stored) == len(cases)
    run(f"data={name}", f"organs=[{','.join(organs)}]", "accept_licence=true", "spacing_mm=[3,3,5]")
    assert sorted((tmp_path / "cache" / "volumes").glob("[!.]*")) == sorted(stored)


def test_a_licence_must_be_accepted(tmp_path):
    with pytest.raises(UserError, match="accept_licence=true"):
        run("data=flare22")
    assert not list(tmp_path.rglob("*.nii.gz"))


def test_a_set_in_a_folder_of_the_user_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "obtain", None)
    with pytest.raises(UserError, match="no such folder: mine"):
        run("data=flare22", "data.sources.flare22.root=mine")


def test_the_store_is_listed_explained_and_pruned(tmp_path, capsys):
    run("data=phantom_small", "data.sources.phantom.num_cases=4")
    run("data=phantom_small", "cache=list")
    assert "4 volumes in cache/volumes" in capsys.readouterr().out
    run("data=phantom_small", "data.sources.phantom.num_cases=4", "cache=explain")
    assert capsys.readouterr().out.count(": in the store: ") == 4
    run("data=phantom_small", "data.sources.phantom.num_cases=4", "cache=explain", "spacing_mm=[9,9,9]")
    assert capsys.readouterr().out.count("its CT is, with another preprocess") == 4
    for folder in (tmp_path / "cache" / "volumes").glob("[!.]*"):
        os.utime(folder, (0, 0))
    run("cache=prune")
    assert "removed 4 volumes" in capsys.readouterr().out


def test_an_export_without_a_folder_is_refused():
    with pytest.raises(UserError, match="export=nnunet needs a folder; name it with export_to="):
        run("export=nnunet", "data=phantom_small")


def test_an_export_for_nnunet_has_the_same_cases_and_split(invoke):
    few = ["data=phantom_small", "data.sources.phantom.num_cases=6", "cache_dir=cache"]
    code, out, _ = invoke(prepare.main, "experiment=smoke", *few, "export=nnunet", "export_to=Dataset007_Phantom")
    assert (code, out) == (0, "6 cases: Dataset007_Phantom\n")
    exported = ["data=nnunet", "data.sources.nnunet.root=Dataset007_Phantom", "split=nnunet", "split.fold=0"]
    exported += ["split.path=Dataset007_Phantom/splits_final.json"]
    ours, theirs = (config("train", "experiment=smoke", *data, "run_dir=x") for data in (few, exported))
    our_ids, their_ids = (instantiate(cfg.data).split.ids() for cfg in (ours, theirs))
    for part in ("train", "val", "test"):
        assert [name.replace("nnunet/phantom_", "phantom/") for name in their_ids[part]] == our_ids[part]
