"""`segment prepare`, up to the voxels: sets come from a server on this machine, in their true layouts."""

import csv
import os
import sys

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from layouts import CASES, LAYOUTS, do_by_hand
from public_sets import on_this_machine
from scripted_server import Script, running
from synthetic_ct import volume

from segment import build
from segment.commands import prepare
from segment.commands.command import config_dir
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
def _here(tmp_path, monkeypatch, server):
    """The user's folder; what is downloaded comes from this machine, over a connection that drops."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download, "PAUSE_S", 0)

    def from_here(entry, folder, accept_licence):
        found, _ = on_this_machine(
            entry, server, folder.name, lambda content: Script(content, drops=[len(content) // 3])
        )
        return obtain(found, folder, accept_licence)

    monkeypatch.setattr(prepare, "obtain", from_here)


def run(*arguments):
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cfg = compose("prepare", ["experiment=smoke", "cache_dir=cache", *arguments])
    prepare.prepare(cfg)
    return cfg


def number_of(name):
    return int("".join(filter(str.isdigit, name.rpartition("/")[2].replace("FLARE22", ""))))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_set_comes_in_with_its_organs_where_they_are(tmp_path, name):
    do_by_hand(name, tmp_path / "cache" / "sets" / name)
    organs = KNOWN.get(name, ORGANS)
    cfg = run(f"data={name}", f"organs=[{','.join(organs)}]", "accept_licence=true", "spacing_mm=[3,3,5]")
    cases = build.cases(cfg.data)
    assert sorted(case.id for case in cases) == sorted(f"{name}/{case}" for case in CASES[name])
    for case in cases:
        true, scan = volume(number_of(case.id)), case.read()
        classes = case.label.read(scan, case.image, organs)
        if name == "chaos_ct":  # stored as scanners do, from right to left and front to back
            classes = classes[::-1, ::-1]
        wanted = np.select([true.masks[organ] for organ in organs], range(1, 1 + len(organs)))
        assert np.array_equal(classes, wanted)
    with (tmp_path / "cache" / "manifests" / f"{name}.csv").open() as file:
        assert [row["case"] for row in csv.DictReader(file)] == [case.id for case in cases]
    stored = list((tmp_path / "cache" / "volumes").glob("[!.]*"))
    assert len(stored) == len(cases)
    run(f"data={name}", f"organs=[{','.join(organs)}]", "accept_licence=true", "spacing_mm=[3,3,5]")
    assert sorted((tmp_path / "cache" / "volumes").glob("[!.]*")) == sorted(stored)


def test_a_licence_that_binds_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="accept_licence=true"):
        run("data=flare22")
    assert not list(tmp_path.rglob("*.nii.gz"))


def test_a_set_that_the_user_has_is_not_downloaded(tmp_path, monkeypatch):
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export=nnunet", "data=phantom_small"], "export=nnunet needs a folder; name it by export_to="),
    ],
)
def test_what_cannot_be_done_is_said(arguments, message):
    with pytest.raises(UserError, match=message):
        run(*arguments)


def test_rivals_get_the_same_cases_and_split(tmp_path, monkeypatch, capsys):
    """As a command, and back again as a data set with its own split."""
    few = ["data=phantom_small", "data.sources.phantom.num_cases=6", "cache_dir=cache"]
    arguments = ["segment", "experiment=smoke", *few, "export=nnunet", "export_to=Dataset007_Phantom"]
    monkeypatch.setattr(sys, "argv", arguments)
    prepare.main()
    assert capsys.readouterr().out == "6 cases: Dataset007_Phantom\n"
    with initialize_config_dir(config_dir(), version_base="1.3"):
        given = ["data=nnunet", "data.sources.nnunet.root=Dataset007_Phantom", "split=nnunet", "split.fold=0"]
        given += ["split.path=Dataset007_Phantom/splits_final.json", "run_dir=x"]
        back, before = (compose("train", ["experiment=smoke", *more]) for more in (given, [*few, "run_dir=x"]))
    for part in ("train", "val", "test"):
        ours, theirs = (build.instantiate(cfg.data, _convert_="all").split.ids()[part] for cfg in (before, back))
        assert [name.replace("nnunet/phantom_", "phantom/") for name in theirs] == ours
