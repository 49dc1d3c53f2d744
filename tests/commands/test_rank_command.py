"""`segment curve rank=` as users run it, with a network of one layer."""

import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import simple_calibration
import tiny
from page_data import data_of

from segment.checkpoint import load_ensemble
from segment.checkpoint.calibrated import identity
from segment.commands import curve, examination
from segment.data.store.fingerprint import voxel_hash
from segment.files import file_sha256
from segment.inference.confidence.trees import Trees


@pytest.fixture
def command(tmp_path, monkeypatch, invoke, ckpt):
    """Rank the folder `scans` in the working directory; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        tiny.save(tmp_path / "scans" / f"p{number}" / "ct.nii.gz", tiny.body(number % 2)[0])

    def call(*arguments, out="here"):
        return invoke(curve.main, "rank=scans", f"ckpt={ckpt}", "cache_dir=cache", f"hydra.run.dir={out}", *arguments)

    return call


@pytest.fixture
def looks(monkeypatch):
    """The CTs that were segmented."""
    found = []

    def examine(scan, trained, anatomy):
        found.append(scan.files[0].parent.name if scan.files[0].name == "ct.nii.gz" else scan.files[0].name)
        return original(scan, trained, anatomy)

    original = examination.examine
    monkeypatch.setattr(examination, "examine", examine)
    return found


def calibrate(ckpt):
    """Write a calibration that predicts a Dice of 0.6 for every organ."""
    calibration = simple_calibration.calibration(0.6, 0.5, 0.7, file_sha256(ckpt))
    replace(calibration, score=Trees(0.0, [])).write(ckpt.with_name("best.confidence.json"))


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_cts_are_ranked_with_tables_pictures_and_a_page(command, tmp_path, ckpt):
    calibrate(ckpt)
    (tmp_path / "scans" / "notes.txt").write_text("x")
    code, out, err = command()
    assert code == 0, err
    here = tmp_path / "here"
    assert {path.name for path in here.iterdir()} == {
        *("config.yaml", "rank.log", "rank.csv", "rank.json", "pictures", "index.html")
    }
    table = rows(here / "rank.csv")
    assert [row["file"] for row in table] == ["p0/ct.nii.gz", "p1/ct.nii.gz", "p2/ct.nii.gz"]  # p2 equals p0
    assert [row["dice"] for row in table] == ["0.6"] * 3
    assert (table[2]["nearest"], table[2]["similarity"], table[2]["adds"]) == ("p0/ct.nii.gz", "1.0", "0.0")
    assert "3 CTs ranked: annotate p0/ct.nii.gz first, predicted Dice 0.60, liver 0.60" in err
    assert "predicted Dice from 1 masks, see best.confidence.json" in err
    assert "what labelled CTs show is not counted: name them by data=<set>" in err
    assert out.endswith("page: here/index.html\n1 left out (notes.txt): neither a volume nor DICOM\n")
    page = data_of(here / "index.html")
    assert [one["file"] for one in page["cts"]] == [row["file"] for row in table]
    assert str(tmp_path) not in (here / "index.html").read_text() + (here / "rank.json").read_text()


def test_without_a_calibration_the_network_judges_itself_and_the_log_says_so(command, tmp_path):
    code, _, err = command("page=false")
    assert code == 0, err
    sentence = (
        "Dice is what the network itself expects, which is too high for bad masks (flags and reasons only: there is"
    )
    assert sentence in err
    assert all(0 < float(row["dice_liver"]) < 1 for row in rows(tmp_path / "here" / "rank.csv"))
    assert not (tmp_path / "here" / "index.html").exists()


def test_a_ct_is_segmented_again_only_if_the_checkpoint_or_its_calibration_changed(command, tmp_path, ckpt, looks):
    assert command("page=false")[0] == 0
    assert looks == ["p0", "p1"]  # p2 is equal to p0
    tiny.save(tmp_path / "scans" / "new.nii.gz", tiny.body(2)[0])
    code, _, err = command("page=false", out="second")
    assert (code, looks[2:]) == (0, ["new.nii.gz"])
    assert "known from an earlier call" in err
    calibrate(ckpt)
    assert command("page=false", out="third")[0] == 0
    assert sorted(looks[3:]) == ["new.nii.gz", "p0", "p1"]


def test_a_ct_is_judged_again_if_the_anatomy_changed(command, looks):
    assert command("page=false")[0] == 0
    assert command("page=false", "anatomy.volume_ml.liver=[1,2]", out="second")[0] == 0
    assert looks == ["p0", "p1", "p0", "p1"]


def test_a_calibration_beside_any_member_of_an_ensemble_counts(command, tmp_path, ckpt, looks):
    other = tiny.write_checkpoint(tmp_path / "other" / "best.ckpt", voxel_hashes=["differs"])
    both = load_ensemble.load([str(ckpt), str(other)])
    for dice in (0.6, 0.7):
        calibration = simple_calibration.calibration(dice, 0.5, 0.8, identity(both.network_sha256, ()))
        replace(calibration, score=Trees(0.0, [])).write(other.with_name(both.calibration_path.name))
        code, _, err = command(f"ckpt=[{ckpt},{other}]", "page=false", out=str(dice))
        assert code == 0, err
        assert {row["dice"] for row in rows(tmp_path / str(dice) / "rank.csv")} == {str(dice)}
    assert looks == ["p0", "p1", "p0", "p1"]


def test_labelled_cts_count_and_are_not_ranked_again(command, tmp_path):
    tiny.write_case(tmp_path / "set", "known", 1)  # the CT of p1
    codes = "data.sources.folder.label_codes={liver: 6, spleen: 1}"
    code, out, err = command("data=folder", "data.sources.folder.root=set", codes, "page=false")
    assert code == 0, err
    assert "1 labelled CT: what resembles them comes later" in err
    table = rows(tmp_path / "here" / "rank.csv")
    assert [row["file"] for row in table] == ["p0/ct.nii.gz", "p2/ct.nii.gz"]
    assert {row["nearest_labelled"] for row in table} == {"folder/known"}
    assert 0 < float(table[0]["similarity_labelled"]) < 1
    assert "1 left out (p1/ct.nii.gz): it has a label already" in out


def test_cts_of_the_training_are_left_out_however_they_are_stored(command, tmp_path):
    turned = nib.load(tmp_path / "scans" / "p0" / "ct.nii.gz").as_reoriented(np.array([[1, -1], [0, 1], [2, 1]]))
    nib.save(turned, tmp_path / "scans" / "turned.nii.gz")
    trained = tiny.write_checkpoint(tmp_path / "trained.ckpt", voxel_hashes=[voxel_hash(tiny.body()[0])])
    code, out, _ = command(f"ckpt={trained}", "page=false")
    assert code == 0
    assert [row["file"] for row in rows(tmp_path / "here" / "rank.csv")] == ["p1/ct.nii.gz"]
    assert "3 left out (p0/ct.nii.gz, p2/ct.nii.gz, turned.nii.gz): it has a label already" in out


def test_a_damaged_ct_is_named_and_the_others_are_ranked(command, tmp_path):
    scans = tmp_path / "scans"
    (scans / "bad.nii.gz").write_bytes(b"junk")
    tiny.write_dicom(scans / "series")
    tiny.save(scans / "fat.nii.gz", np.where(tiny.body()[0] > 0, tiny.FAT, tiny.body()[0]))
    code, _, err = command("page=false")
    assert code == 2
    assert "error: 1 of 6 failed:\n  bad.nii.gz: cannot read " in err
    assert "fat.nii.gz: no organ found" in err
    files = {row["file"] for row in rows(tmp_path / "here" / "rank.csv")}
    assert files == {"p0/ct.nii.gz", "p1/ct.nii.gz", "p2/ct.nii.gz", "series", "fat.nii.gz"}
    assert "failed: bad.nii.gz: cannot read" in json.loads((tmp_path / "here" / "rank.json").read_text())["notes"][3]


def test_of_several_series_in_a_folder_one_is_ranked_and_the_others_are_counted(command, tmp_path):
    tiny.write_dicom(tmp_path / "scans" / "two", SeriesInstanceUID="1.2.3")
    for path in sorted((tmp_path / "scans" / "two").iterdir()):
        path.rename(path.with_name(f"long_{path.name}"))
    tiny.write_dicom(tmp_path / "scans" / "two", seed=1, count=9, SeriesInstanceUID="1.2.4")
    code, out, err = command("page=false")
    assert code == 0, err
    assert "1 left out (two: 1 other series): the axial CT with most slices of a folder is ranked" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank=elsewhere"], "elsewhere"),
        (["sizes=[2,4,8]"], "rank= trains nothing, so leave out sizes="),
        (["rank=null"], "ckpt= is an option of rank=<folder>; the trainings of a curve start from init_from="),
        (["resume=here"], "a ranking is not resumed: leave out resume=here"),
        (["ckpt=none.ckpt"], "none.ckpt"),
        (["rank=labels"], "no CT to rank:\n  1 left out (map.nii.gz): a label map, not a CT"),
    ],
)
def test_wrong_options_end_in_one_sentence(command, tmp_path, arguments, message):
    tiny.save(tmp_path / "labels" / "map.nii.gz", tiny.body()[1])
    code, _, err = command(*arguments)
    assert code == 2
    assert message in err
    assert not (tmp_path / "here").exists()
