import json
import logging
import math

import nibabel as nib
import numpy as np
import pytest
import tiny
import torch
import torchio as tio
from omegaconf import OmegaConf
from run_commands import config

from segment import build
from segment.callbacks import case_report as report
from segment.commands.evaluate import evaluate, main
from segment.comparison.arms import gather
from segment.comparison.find_runs import find_runs
from segment.data import scan_cache
from segment.data.datamodule import CTDataModule
from segment.data.splits.random_split import RandomSplit
from segment.data.store import content as content_module
from segment.data.store.fingerprint import voxel_hash
from segment.datasets.cases import Case
from segment.datasets.sources.folder import Folder
from segment.errors import UserError
from segment.io import read as read_module
from segment.io.read import read_ct
from segment.metrics.cases_csv import read_cases
from segment.run.resume import recorded_facts


@pytest.fixture
def data(tmp_path):
    """Four cases that the network of `tiny` segments without errors."""
    for seed in range(4):
        tiny.write_case(tmp_path / "data", f"case{seed}", seed)
    return tmp_path / "data"


@pytest.fixture
def ckpt(tmp_path):
    return tiny.write_checkpoint(tmp_path / "best.ckpt")


@pytest.fixture
def run(tmp_path, data, ckpt):
    """Run `segment evaluate` in the folder `run`."""

    def call(*overrides):
        codes = "{liver: 6, spleen: 1, right_kidney: 20, left_kidney: 21, stomach: [7, 9]}"
        source = ["data=folder", f"data.sources.folder.root={data}", f"data.sources.folder.label_codes={codes}"]
        arguments = [f"ckpt={ckpt}", f"run_dir={tmp_path / 'run'}", "pictures=false", *source, *overrides]
        evaluate(config("evaluate", *arguments))

    return call


def scores(tmp_path):
    return {(case, score.organ): score for case, score in read_cases(tmp_path / "run" / "cases.csv")}


def scored(tmp_path):
    rows = [case for case, _ in read_cases(tmp_path / "run" / "cases.csv")]
    assert all(rows.count(case) == len(tiny.ORGANS) for case in rows)  # once per organ
    return sorted(set(rows))


def hashes(data, *names):
    return [voxel_hash(read_ct(data / "images" / f"{name}.nii.gz").data) for name in names]


def test_scores_are_those_of_the_masks(run, data, tmp_path):
    _, classes = tiny.body(0)
    reference = np.array([0, 6, 1], np.uint8)[classes]
    reference[12, 4:10, 3:8] = 7  # 30 voxels of stomach, which the network segments as liver
    reference[4:8, 5:9, 6:9] = 0  # no spleen
    tiny.save(data / "labels" / "case0.nii.gz", reference)
    run()
    found = scores(tmp_path)
    assert len(found) == 8
    liver, spleen = found["folder/case0", "liver"], found["folder/case0", "spleen"]
    assert liver.dice == pytest.approx(2 * 150 / (150 + 180))
    assert (liver.volume_ml_reference, liver.volume_ml_pred) == pytest.approx((150 * 0.03, 180 * 0.03))
    assert liver.hd95_mm == pytest.approx(2.0)  # the thickness of the layer, one voxel
    assert liver.nsd == 1.0  # within its 5 mm
    assert (spleen.dice, spleen.nsd) == (0.0, 0.0)
    assert math.isnan(spleen.hd95_mm)
    perfect = found["folder/case3", "liver"]
    assert (perfect.dice, perfect.hd95_mm, perfect.nsd) == (1.0, 0.0, 1.0)


def test_the_run_folder_records_what_was_scored(run, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(
        report, "write_video", lambda path, *_, **__: path.write_bytes(b"video")
    )  # a real one takes seconds
    run("pictures=true", "include_trained=true", "split=file", f"split.path={split_file(tmp_path, ['case2'])}")
    folder = tmp_path / "run"
    assert json.loads((folder / "split.json").read_text()) == {"test": ["folder/case2"]}
    assert "git" in json.loads((folder / "environment.json").read_text())
    config, facts = OmegaConf.load(folder / "config.yaml"), recorded_facts(folder)
    assert facts["tolerance_mm"] == {"liver": 5, "spleen": 3}
    assert (config.ckpt, len(facts["ckpt_sha256"]), config.run_dir) == ("best.ckpt", 64, ".")
    assert str(tmp_path) not in (folder / "config.yaml").read_text()
    assert {path.name for path in (folder / "cases" / "folder-case2").iterdir()} == {"overlay.png", "organs.mp4"}
    assert "folder/case2: liver 1.000, spleen 1.000" in (folder / "evaluate.log").read_text()


def test_evaluations_of_the_seeds_of_one_recipe_are_one_arm(run, ckpt, tmp_path):
    for name, width, seed in (("a", 8, 0), ("b", 8, 1), ("c", 4, 1)):
        content = torch.load(ckpt, weights_only=True)
        content["segment"]["trained"] = {"seed": seed, "model.width": width}
        torch.save(content, ckpt.with_name(f"{name}.ckpt"))
        run(f"ckpt={ckpt.with_name(name)}.ckpt", f"run_dir={tmp_path / 'runs' / name}")
        table = tmp_path / "runs" / name / "cases.csv"
        table.write_text(table.read_text().replace("liver,1.0", f"liver,0.9{name.encode()[0]}"))  # or they are copies
    groups = find_runs([str(tmp_path / "runs" / name) for name in "abc"], tmp_path)
    arms, _ = gather(groups)
    assert [[one.seed for one in arm.runs] for arm in arms] == [[0, 1], [1]]
    assert [arm.label for arm in arms] == ["trained.model.width=8", "trained.model.width=4"]


def test_checkpoints_hold_the_recipe_of_their_training(tmp_path):
    cfg = config("train", "experiment=smoke", "seed=3", "logger=csv", f"run_dir={tmp_path}/run", "compile=false")
    recipe = build.parts(cfg).module.checkpoint_metadata["trained"]
    assert (recipe["seed"], recipe["model.net._target_"]) == (3, "segment.model.vnet.VNet")
    assert "run_dir" not in recipe
    assert str(tmp_path) not in json.dumps(recipe)


def split_file(tmp_path, test):
    rest = [f"folder/case{seed}" for seed in range(4) if f"case{seed}" not in test]
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": rest[1:], "val": rest[:1], "test": [f"folder/{name}" for name in test]}))
    return path


def test_a_split_selects_the_test_cases(run, tmp_path):
    run("split=file", f"split.path={split_file(tmp_path, ['case0', 'case3'])}")
    assert scored(tmp_path) == ["folder/case0", "folder/case3"]


def test_the_file_of_a_split_may_have_test_cases_only(run, tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"test": ["folder/case3"]}))
    run("split=file", f"split.path={path}")
    assert scored(tmp_path) == ["folder/case3"]
    with pytest.raises(UserError, match="the split has no test case to score; choose one that has"):
        run("split=file", f"split.path={split_file(tmp_path, [])}")


def test_only_test_cases_of_the_training_data_are_scored(run, data, ckpt, tmp_path, capsys):
    """The voxel hashes come from the data module, as in training."""
    for seed in range(4, 8):
        tiny.write_case(data, f"case{seed}", seed)
    sources = {"folder": Folder(data, tiny.CODES)}
    module = CTDataModule(
        sources=sources,
        organs=tiny.ORGANS,
        preprocess=tio.Compose([]),
        augment=None,
        split=RandomSplit(val=0.25, test=0.25, seed=3),
        patch_size=(8, 8, 8),
        patches_per_epoch=1,
        foreground_share=0.5,
        batch_size=1,
        num_workers=0,
        cache_dir=tmp_path / "cache",
        seed=0,
    )
    tiny.write_checkpoint(ckpt, voxel_hashes=module.voxel_hashes())
    run()
    assert scored(tmp_path) == sorted(module.split.ids()["test"])
    assert len(scored(tmp_path)) == 2
    assert "left out 6 of 8 cases" in capsys.readouterr().out


def test_a_seen_case_is_recognised_with_another_name_format_and_orientation(run, data, ckpt, tmp_path):
    tiny.write_checkpoint(ckpt, voxel_hashes=hashes(data, "case1"))
    for folder in ("images", "labels"):
        old = data / folder / "case1.nii.gz"
        turned = nib.load(old).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
        nib.save(turned, data / folder / "renamed.nii")
        old.unlink()
    run()
    assert scored(tmp_path) == ["folder/case0", "folder/case2", "folder/case3"]
    assert json.loads((tmp_path / "run" / "split.json").read_text())["test"] == scored(tmp_path)


def test_seen_cases_are_scored_only_on_request(run, data, ckpt, tmp_path):
    tiny.write_checkpoint(ckpt, voxel_hashes=hashes(data, *(f"case{seed}" for seed in range(4))))
    with pytest.raises(UserError, match=r"no case is left to score; .*include_trained=true"):
        run()
    assert not (tmp_path / "run").exists()
    run("include_trained=true")
    assert len(scored(tmp_path)) == 4


def test_data_without_an_organ_of_the_checkpoint_is_refused(run, ckpt, tmp_path):
    held = tiny.config()
    held["organs"] = held["model"]["organs"] = ["duodenum", "pancreas"]
    held["model"]["tolerance_mm"] = {"duodenum": 5, "pancreas": 5}
    tiny.write_checkpoint(ckpt, held)
    with pytest.raises(UserError, match=r"the checkpoint segments duodenum, pancreas, but folder annotates none of"):
        run()
    assert not (tmp_path / "run").exists()


def break_two_cases(data):
    """Give one label another shape, and truncate one CT."""
    label = data / "labels" / "case1.nii.gz"
    tiny.save(label, np.asarray(nib.load(label).dataobj)[:, :, 1:])
    image = data / "images" / "case2.nii.gz"
    image.write_bytes(image.read_bytes()[:200])


def test_cases_that_fail_are_named_and_the_others_scored(run, data, ckpt, tmp_path):
    break_two_cases(data)
    tiny.write_checkpoint(ckpt, voxel_hashes=hashes(data, "case3"))
    with pytest.raises(UserError) as info:
        run()
    first, *rest = str(info.value).splitlines()
    assert first == "2 of 3 failed:"
    assert rest[0].startswith("  folder/case1: label ")
    assert rest[1].startswith("  folder/case2: cannot read ")
    assert scored(tmp_path) == ["folder/case0"]


def test_a_resume_scores_the_missing_cases(run, data, tmp_path, caplog):
    good = {path: path.read_bytes() for path in (data / "images" / "case2.nii.gz", data / "labels" / "case1.nii.gz")}
    break_two_cases(data)
    with pytest.raises(UserError, match="2 of 4 failed"):
        run()
    for path, content in good.items():
        path.write_bytes(content)
    caplog.clear()
    caplog.set_level(logging.INFO)
    run("resume=true", "allow_changed=[data_sha256]")  # the files have changed
    assert [record.message.split(":")[0] for record in caplog.records if "liver" in record.message] == [
        "1/2 folder/case1",
        "2/2 folder/case2",
    ]
    assert len(scored(tmp_path)) == 4
    assert len(json.loads((tmp_path / "run" / "environment.json").read_text())["resumed"]) == 1


def test_a_ct_with_a_known_hash_is_read_once(run, data, tmp_path, monkeypatch):
    run("include_trained=true", f"cache_dir={tmp_path / 'cache'}")
    assert not list((tmp_path / "cache").rglob("?*"))  # the files are too new: they could change within the same second
    now = content_module.time.time_ns() + 120 * 10**9
    monkeypatch.setattr(content_module.time, "time_ns", lambda: now)
    reads = []
    read = Case.read
    monkeypatch.setattr(Case, "read", lambda case: reads.append(case.id) or read(case))
    run(f"run_dir={tmp_path / 'b'}", f"cache_dir={tmp_path / 'cache'}")
    run(f"run_dir={tmp_path / 'c'}", f"cache_dir={tmp_path / 'cache'}")
    assert [reads.count(f"folder/case{seed}") for seed in range(4)] == [2] * 4  # once each time
    facts = [recorded_facts(tmp_path / name)["data_sha256"] for name in ("run", "b", "c")]
    assert len(set(facts)) == 1
    changed = np.asarray(nib.load(data / "images" / "case1.nii.gz").dataobj).copy()
    changed[0, 0, 0] += 1
    tiny.save(data / "images" / "case1.nii.gz", changed)
    reads.clear()
    run(f"run_dir={tmp_path / 'd'}", f"cache_dir={tmp_path / 'cache'}")
    assert [reads.count(f"folder/case{seed}") for seed in range(4)] == [1, 1, 1, 1]


@pytest.fixture
def opened(monkeypatch):
    """Returns the names of the CTs whose files were read, once for each time."""
    names = []
    real = read_module.read_nifti
    monkeypatch.setattr(read_module, "read_nifti", lambda path: names.append(path) or real(path))
    return lambda: sorted(path.name.removesuffix(".nii.gz") for path in names if path.parent.name == "images")


def test_a_first_evaluation_reads_each_ct_once(run, opened):
    run("include_trained=true")
    assert opened() == ["case0", "case1", "case2", "case3"]


def test_cts_that_do_not_fit_into_memory_are_read_again(run, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(scan_cache, "SHARE", 0)
    run("include_trained=true")
    assert opened() == [f"case{seed}" for seed in range(4) for _ in range(2)]
    assert len(scored(tmp_path)) == 4


def test_cases_of_the_training_are_left_out_without_reading_them(run, ckpt, opened, tmp_path):
    tiny.write_checkpoint(ckpt, voxel_hashes=["0"])
    content = torch.load(ckpt, weights_only=True)
    content["segment"]["split"] = {"train": ["folder/case0"], "val": ["folder/case2"], "test": []}
    torch.save(content, ckpt)
    run()
    assert scored(tmp_path) == ["folder/case1", "folder/case3"]
    assert opened() == ["case1", "case3"]


def test_another_checkpoint_of_the_same_name_is_not_resumed(run, ckpt, tmp_path):
    run()
    before = (tmp_path / "run" / "cases.csv").read_text()
    tiny.write_checkpoint(ckpt, tiny.config(spacing_mm=[4, 4, 4]))
    with pytest.raises(UserError, match="ckpt_sha256 was "):
        run("resume=true")
    with pytest.raises(UserError, match="holds a run already"):
        run()
    assert (tmp_path / "run" / "cases.csv").read_text() == before


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_files_with_other_content_are_not_resumed(run, data, tmp_path, kind):
    run()
    run("resume=true")
    before = (tmp_path / "run" / "cases.csv").read_text()
    path = data / kind / "case1.nii.gz"
    volume = np.asarray(nib.load(path).dataobj).copy()
    volume[0, 0, 0] = 6
    tiny.save(path, volume)
    with pytest.raises(UserError, match=r"data_sha256 was .*allow_changed=\[data_sha256\]"):
        run("resume=true")
    assert (tmp_path / "run" / "cases.csv").read_text() == before


def test_the_command_prints_the_means_and_ends_with_0(data, ckpt, tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    source = ["data=folder", "data.sources.folder.root=data"]
    codes = "data.sources.folder.label_codes={liver: 6, spleen: 1, right_kidney: 20, left_kidney: 21}"
    code, out, _ = invoke(main, "ckpt=best.ckpt", "pictures=false", *source, codes)
    assert code == 0
    assert "4 test cases, means over patients" in out
    (folder,) = (tmp_path / "outputs" / "evaluate").iterdir()
    assert f"run folder: {folder.relative_to(tmp_path)}" in out
    names = {path.name for path in folder.iterdir()}
    assert names == {"cases.csv", "config.yaml", "environment.json", "evaluate.log", "index.html", "split.json"}


def test_the_starter_weights_can_be_scored(run, starter, tmp_path):
    run("ckpt=starter")
    assert len(scored(tmp_path)) > 0
    assert all(score.dice == 1 for score in scores(tmp_path).values())
    assert recorded_facts(tmp_path / "run")["ckpt_sha256"] == starter.with_suffix(".sha256").read_text().split()[0]
