"""The files that `segment predict` writes beside the masks."""

import csv
import hashlib
import json
import os

import nibabel as nib
import numpy as np
import psutil
import pydicom
import pytest
import tiny
import torch
from dicom_files import PATIENT

from segment.commands import predict as module
from segment.commands.predict_batch import Batch
from segment.errors import UserError
from segment.inference.confidence.evidence import gather_evidence
from segment.inference.inputs.find_inputs import Input
from segment.inference.outputs.source import source_facts
from segment.inference.region import Region
from segment.inference.segmenter import Segmented
from segment.io.dicom_seg import read_dicom_seg
from segment.io.read import read_ct

# Type 2 attributes, as a scanner writes them.
STUDY = {"StudyDate": "20200102", "StudyTime": "1200", "AccessionNumber": "A-4711", "SeriesDescription": "Doe^Jane"}


def read(path):
    return json.loads(path.read_text())


def classes(path):
    return np.asarray(nib.load(path).dataobj)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_report_has_the_measurements_of_every_organ(run, tmp_path):
    hu, _ = tiny.body()
    source = tiny.save(tmp_path / "cts" / "p1" / "ct.nii.gz", hu)
    tiny.save(tmp_path / "cts" / "p2" / "ct.nii.gz", tiny.body(1)[0])
    run(tmp_path / "cts")
    report = read(tmp_path / "masks" / "p1" / "ct_report.json")
    assert report["case"] == "p1/ct"
    state = report["input"].pop("state")
    assert (type(state), len(state)) == (str, 16)
    assert report["input"] == {
        "path": "p1/ct.nii.gz",
        "files": 1,
        "bytes": source.stat().st_size,
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    }
    assert (report["shape"], report["spacing_mm"]) == ([24, 14, 12], [2.0, 3.0, 5.0])
    liver, spleen = report["organs"]
    assert (liver["organ"], liver["number"], spleen["organ"], spleen["number"]) == ("liver", 1, "spleen", 2)
    assert (liver["volume_ml"], liver["hu_mean"], liver["hu_sd"]) == pytest.approx((5.4, tiny.LIVER, 0))
    assert liver["surface_cm2"] > 10
    assert liver["flags"] == ["volume: 5.4 mL, plausible are 500 to 4500 mL"]
    with (tmp_path / "masks" / "volumes.csv").open(newline="") as file:
        rows = {(row["case"], row["organ"]): row for row in csv.DictReader(file)}
    assert set(rows) == {(case, organ) for case in ("p1/ct", "p2/ct") for organ in ("liver", "spleen")}
    assert float(rows["p1/ct", "liver"]["surface_cm2"]) == liver["surface_cm2"]
    assert rows["p1/ct", "liver"]["flags"] == liver["flags"][0]


def test_plausible_volumes_are_options(run, tmp_path):
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    run(tmp_path / "ct.nii.gz", "anatomy.volume_ml.liver=[1,10]")
    assert read(tmp_path / "masks" / "ct_report.json")["organs"][0]["flags"] == []


def test_organs_can_be_chosen_and_keep_their_numbers(run, tmp_path):
    hu, expected = tiny.body()
    tiny.save(tmp_path / "ct.nii.gz", hu)
    run(tmp_path / "ct.nii.gz", "organs=[spleen]", "organ_files=true")
    masks = tmp_path / "masks"
    assert np.array_equal(classes(masks / "ct_seg.nii.gz"), np.where(expected == 2, 2, 0))
    assert [organ["organ"] for organ in read(masks / "ct_report.json")["organs"]] == ["spleen"]
    assert read(masks / "manifest.json")["organs"] == {"spleen": 2}
    assert not (masks / "ct_seg_liver.nii.gz").exists()


@pytest.mark.parametrize(
    ("organs", "message"),
    [
        ("[liver,splen]", r"^the checkpoint does not segment 'splen'; did you mean spleen\?$"),
        ("[femur]", r"^the checkpoint does not segment 'femur'; choose some of liver, spleen$"),
        ("[]", r"^organs=\[\] chooses no organ; choose some of liver, spleen"),
    ],
)
def test_unknown_organs_are_refused_before_anything_is_written(run, tmp_path, organs, message):
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    with pytest.raises(UserError, match=message):
        run(tmp_path / "ct.nii.gz", f"organs={organs}")
    assert not (tmp_path / "masks").exists()


def test_masks_of_other_organs_are_not_mixed(run, tmp_path):
    for name in "ab":
        tiny.save(tmp_path / "cts" / f"{name}.nii.gz", tiny.body()[0])
    run(tmp_path / "cts" / "a.nii.gz", "organs=[liver]")
    with pytest.raises(UserError, match=r"were made with organs=\[liver\], not organs=\[liver,spleen\]; choose"):
        run(tmp_path / "cts", "resume=true")
    run(tmp_path / "cts", "organs=[liver]", "resume=true")
    with pytest.raises(UserError, match=r"were made with organs=\[liver\], not organs=\[liver,spleen\]"):
        run(tmp_path / "cts" / "a.nii.gz", "overwrite=true")  # the mask of b would stay
    run(tmp_path / "cts", "overwrite=true")
    run(tmp_path / "cts", "organs=[spleen,liver]", "resume=true")
    assert set(np.unique(classes(tmp_path / "masks" / "a_seg.nii.gz"))) == {0, 1, 2}


def test_masks_with_and_without_augmentation_are_not_mixed(run, tmp_path):
    for name in "ab":
        tiny.save(tmp_path / "cts" / f"{name}.nii.gz", tiny.body()[0])
    run(tmp_path / "cts" / "a.nii.gz")
    manifest = tmp_path / "masks" / "manifest.json"
    content = json.loads(manifest.read_text())
    assert content["decided_by"].pop("tta") == []
    manifest.write_text(json.dumps(content))  # as before this option existed
    with pytest.raises(UserError, match=r"were made with tta=\[\], not tta=\[scaled\]; choose another output"):
        run(tmp_path / "cts", "resume=true", "tta=[scaled]")
    run(tmp_path / "cts", "resume=true")


def test_views_in_another_order_make_the_same_masks(run, tmp_path):
    tiny.save(tmp_path / "cts" / "a.nii.gz", tiny.body()[0])
    run(tmp_path / "cts", "tta=[moved,scaled]")
    tiny.save(tmp_path / "cts" / "b.nii.gz", tiny.body()[0])
    run(tmp_path / "cts", "resume=true", "tta=[scaled,moved,scaled]")
    assert (tmp_path / "masks" / "b_seg.nii.gz").exists()
    with pytest.raises(UserError, match=r"were made with tta=\[scaled,moved,scaled\], not tta=\[scaled\]"):
        run(tmp_path / "cts", "resume=true", "tta=[scaled]")


def test_every_organ_has_its_own_file_on_the_grid_of_the_ct(run, tmp_path):
    hu, expected = tiny.body()
    source = nib.load(tiny.save(tmp_path / "cts" / "ct.nii.gz", hu))
    run(tmp_path / "cts", "organ_files=true")
    masks = tmp_path / "masks"
    for number, organ in enumerate(tiny.ORGANS, start=1):
        one = nib.load(masks / f"ct_seg_{organ}.nii.gz")
        assert np.array_equal(np.asarray(one.dataobj), expected == number)
        assert np.array_equal(one.affine, source.affine)
    assert read(masks / "ct_report.json")["files"] == [
        "ct_seg.nii.gz",
        "ct_seg_liver.nii.gz",
        "ct_seg_spleen.nii.gz",
    ]
    run(tmp_path / "cts", "overwrite=true")  # without organ_files, so that no old file stays
    assert not list(masks.glob("ct_seg_*"))


def test_files_of_organs_beside_their_ct_are_no_inputs(run, tmp_path, capsys):
    tiny.save(tmp_path / "masks" / "ct.nii.gz", tiny.body()[0])
    run(tmp_path / "masks", "organ_files=true", "resume=true")
    run(tmp_path / "masks", "organ_files=true", "overwrite=true")
    line = "3 left out (ct_seg.nii.gz, ct_seg_liver.nii.gz, ct_seg_spleen.nii.gz): has the name of a mask or"
    assert line in capsys.readouterr().out


def test_a_later_call_adds_what_is_missing_to_kept_masks(run, tmp_path, monkeypatch):
    """The network does not run again."""
    tiny.write_dicom(tmp_path / "cts" / "a", **STUDY)
    tiny.save(tmp_path / "cts" / "b.nii.gz", tiny.body(1)[0])
    run(tmp_path / "cts")
    masks = tmp_path / "masks"
    before = (masks / "a_seg.nii.gz").stat().st_mtime_ns
    monkeypatch.setattr(module.ensemble.Ensemble, "segmenter", None)
    (masks / "b_report.json").unlink()
    (masks / "volumes.csv").write_text("case,organ,volume_ml\na,liver,1\n")  # of an older version
    run(tmp_path / "cts", "organ_files=true", "dicom_seg=true", "resume=true")
    assert (masks / "a_seg.nii.gz").stat().st_mtime_ns == before
    added = ["a_seg.dcm", "a_seg_liver.nii.gz", "a_seg_spleen.nii.gz", "b_report.json", "b_seg_liver.nii.gz"]
    assert set(added) <= set(names(masks))
    assert np.array_equal(classes(masks / "b_seg_liver.nii.gz"), tiny.body(1)[1] == 1)
    with (masks / "volumes.csv").open(newline="") as file:
        assert sorted(row["case"] for row in csv.DictReader(file)) == ["a", "a", "b", "b"]
    run(tmp_path / "cts", "organ_files=true", "dicom_seg=true", "resume=true")
    assert {case["state"] for case in read(masks / "manifest.json")["cases"]} == {"kept"}


def test_dicom_series_have_segmentations(run, tmp_path, caplog):
    folder = tiny.write_dicom(tmp_path / "cts" / "a", **STUDY)
    tiny.save(tmp_path / "cts" / "b.nii.gz", tiny.body()[0])
    caplog.set_level("INFO")
    run(tmp_path / "cts", "dicom_seg=true", "organs=[spleen]")
    masks = tmp_path / "masks"
    (found,) = read_dicom_seg(masks / "a_seg.dcm", read_ct(folder)).items()
    assert found[0] == "spleen"
    assert np.array_equal(found[1], tiny.body()[1] == 2)
    assert not (masks / "b_seg.dcm").exists()
    reasons = {case["case"]: case["not_written"] for case in read(masks / "manifest.json")["cases"]}
    assert reasons == {"a": {}, "b": {"dicom_seg": "not a DICOM series"}}
    assert "b.nii.gz has no DICOM segmentation: not a DICOM series" in caplog.text
    assert "copy attributes" not in caplog.text  # which highdicom logs


def test_without_highdicom_a_segmentation_is_refused_at_once(run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "has_highdicom", lambda: False)
    with pytest.raises(UserError, match=r"dicom_seg=true needs the package highdicom; install it with pip install"):
        run(tmp_path / "nothing", "dicom_seg=true")


def test_the_manifest_says_what_became_of_every_input(run, ckpt, tmp_path):
    folder, masks = tmp_path / "cts", tmp_path / "masks"
    tiny.write_dicom(folder / "a", **STUDY)
    tiny.write_dicom(tmp_path / "other", SeriesInstanceUID="1.2.3.5", count=4, **STUDY)
    for path in (tmp_path / "other").iterdir():
        path.rename(folder / "a" / f"other{path.name}")
    (folder / "b.nii.gz").write_bytes(b"damaged")
    (folder / "notes.txt").touch()
    with pytest.raises(UserError, match="1 of 2 failed"):
        run(folder, "dicom_seg=true")
    manifest = read(masks / "manifest.json")
    assert (manifest["command"], manifest["state"], manifest["device"]) == ("segment predict", "failed", "cpu")
    assert manifest["checkpoints"] == [
        {"name": "best.ckpt", "sha256": hashlib.sha256(ckpt.read_bytes()).hexdigest()},
    ]
    assert manifest["options"]["dicom_seg"] is True
    assert {"torch", "nibabel", "highdicom"} <= set(manifest["packages"])
    one, two = manifest["cases"]
    assert (one["case"], one["state"], one["input"]["files"]) == ("a", "done", 12)
    hashes = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "a").glob("0*"))
    assert one["input"]["sha256"] == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert 0 < one["seconds"] <= manifest["seconds"] + 0.1
    assert (two["case"], two["state"], two["input"]) == ("b", "failed", {"path": "b.nii.gz"})
    assert two["reason"].startswith("cannot read b.nii.gz: it is damaged")
    left_out = {entry["name"]: entry for entry in manifest["left_out"]}
    assert left_out["notes.txt"]["expected"] is True
    assert any(name.startswith("a: 1.2.3.5 (4 slices") for name in left_out)


def test_a_mask_is_written_although_its_dicom_segmentation_cannot_be_made(run, tmp_path, caplog):
    """Slices of several studies, which highdicom refuses."""
    folder = tiny.write_dicom(tmp_path / "cts" / "p")
    for number, path in enumerate(sorted(folder.iterdir())):
        header = pydicom.dcmread(path)
        header.StudyInstanceUID = f"1.2.{number}"
        header.save_as(path)
    run(tmp_path / "cts", "dicom_seg=true")
    assert np.array_equal(classes(tmp_path / "masks" / "p_seg.nii.gz"), tiny.body()[1])
    assert not (tmp_path / "masks" / "p_seg.dcm").exists()
    why = read(tmp_path / "masks" / "p_report.json")["not_written"]["dicom_seg"]
    assert why.startswith("cannot make a DICOM segmentation (ValueError): the headers of the series are unusual")
    assert f"p has no DICOM segmentation: {why}" in caplog.text
    made = (tmp_path / "masks" / "p_seg.nii.gz").stat().st_mtime_ns
    run(tmp_path / "cts", "dicom_seg=true", "resume=true")
    assert (tmp_path / "masks" / "p_seg.nii.gz").stat().st_mtime_ns == made


def test_the_manifest_and_the_reports_name_no_patient_and_no_folder_of_the_machine(run, tmp_path):
    tiny.write_dicom(tmp_path / "cts" / "a", **STUDY)
    tiny.write_dicom(tmp_path / "cts" / "b", **STUDY)
    for number, path in enumerate(tiny.write_dicom(tmp_path / "more", SeriesInstanceUID="1.2.3.5", **STUDY).iterdir()):
        path.rename(tmp_path / "cts" / "b" / f"more{number}")
    with pytest.raises(UserError, match="2 axial CT series of the same size"):  # with their descriptions
        run(tmp_path / "cts", "dicom_seg=true")
    for name in names(tmp_path / "masks"):
        if not name.endswith(".dcm"):
            content = (tmp_path / "masks" / name).read_bytes()
            for secret in (*PATIENT.values(), str(tmp_path), STUDY["AccessionNumber"]):
                assert secret.encode() not in content, name


def test_an_interrupted_call_says_so(run, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    for name in "ab":
        tiny.save(tmp_path / "cts" / f"{name}.nii.gz", tiny.body()[0])
    run(tmp_path / "cts" / "a.nii.gz")
    monkeypatch.setattr("segment.commands.predict_batch.write_mask", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cts", "resume=true")
    manifest = read(tmp_path / "masks" / "manifest.json")
    assert manifest["state"] == "interrupted"
    assert [(case["case"], case["state"]) for case in manifest["cases"]] == [("a", "kept")]


def test_reports_have_the_confidence_and_a_kept_mask_keeps_it(run, tmp_path, capsys):
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    run(tmp_path / "ct.nii.gz")
    lines = capsys.readouterr().out.splitlines()
    (counts,) = [line for line in lines if line.startswith("confidence in 2 organs: ")]
    assert "flags and reasons only: there is no best.confidence.json beside the checkpoint" in counts
    assert any(line.startswith("  ct liver: ") and "volume: 5.4 mL" in line for line in lines)
    path = tmp_path / "masks" / "ct_report.json"
    before = [entry["confidence"] for entry in read(path)["organs"]]
    assert before[0]["dice"] is None
    assert len(before[0]["reasons"]) > 1
    run(tmp_path / "ct.nii.gz", "resume=true", "organ_files=true")
    assert [entry["confidence"] for entry in read(path)["organs"]] == before
    with (tmp_path / "masks" / "volumes.csv").open(newline="") as file:
        liver = next(row for row in csv.DictReader(file) if row["organ"] == "liver")
    assert (liver["confidence"], liver["predicted_dice"]) == (before[0]["color"], "")
    report = read(path)
    for entry in report["organs"]:
        del entry["confidence"]  # as an earlier version wrote it
    path.write_text(json.dumps(report))
    (tmp_path / "masks" / "ct_seg_liver.nii.gz").unlink()
    run(tmp_path / "ct.nii.gz", "resume=true", "organ_files=true")
    assert read(path)["organs"][0]["confidence"]["reasons"] == report["organs"][0]["flags"]


def test_a_ct_that_was_replaced_is_segmented_again(run, tmp_path, caplog):
    """One that was only copied, with the same content, is not."""
    for seed, name in enumerate("ab"):
        tiny.save(tmp_path / "cts" / f"{name}.nii.gz", tiny.body(seed)[0])
    run(tmp_path / "cts", "organ_files=true")
    masks = tmp_path / "masks"
    before = (masks / "b_seg.nii.gz").stat().st_mtime_ns
    tiny.save(tmp_path / "cts" / "a.nii.gz", tiny.body(2)[0])
    (tmp_path / "cts" / "b.nii.gz").touch()
    run(tmp_path / "cts", "resume=true")
    assert np.array_equal(classes(masks / "a_seg.nii.gz"), tiny.body(2)[1])
    assert not (masks / "a_seg_liver.nii.gz").exists()  # it would show the old CT
    assert (masks / "b_seg.nii.gz").stat().st_mtime_ns == before
    state = source_facts(Input(tmp_path / "cts" / "b.nii.gz", "b"), [])["state"]
    assert read(masks / "b_report.json")["input"]["state"] == state  # so the next call need not read it
    assert caplog.text.count("a.nii.gz is not the CT that its report states; segmenting it again") == 1
    assert "b.nii.gz is not" not in caplog.text
    assert {one["case"]: one["state"] for one in read(masks / "manifest.json")["cases"]} == {"a": "done", "b": "kept"}


def test_the_mask_of_another_patient_of_the_same_name_is_not_kept(run, tmp_path):
    """Neither file changed since the mask was made, and they may have changed at the same time, as by chmod -R."""
    for seed, patient in enumerate(("p1", "p2")):
        os.utime(tiny.save(tmp_path / "cts" / patient / "ct.nii.gz", tiny.body(seed)[0]), (10, 10))
        tiny.write_dicom(tmp_path / "series" / patient / "DICOM", seed=seed)
    for given, mask in (("cts/{}/ct.nii.gz", "ct_seg.nii.gz"), ("series/{}", "DICOM_seg.nii.gz")):
        run(tmp_path / given.format("p1"), "resume=true")
        run(tmp_path / given.format("p2"), "resume=true")
        assert np.array_equal(classes(tmp_path / "masks" / mask), tiny.body(1)[1])
    (tmp_path / "cts" / "p2").rename(tmp_path / "cts" / "p3")
    (tmp_path / "cts" / "p1").rename(tmp_path / "cts" / "p2")
    run(tmp_path / "cts" / "p2" / "ct.nii.gz", "resume=true")
    assert np.array_equal(classes(tmp_path / "masks" / "ct_seg.nii.gz"), tiny.body(0)[1])


def test_a_series_that_is_chosen_later_replaces_the_mask_of_another(run, tmp_path):
    folder = tiny.write_dicom(tmp_path / "cts" / "p")
    for path in tiny.write_dicom(tmp_path / "other", seed=1, count=11, SeriesInstanceUID="1.2.3.5").iterdir():
        path.rename(folder / f"other{path.name}")
    mask = tmp_path / "masks" / "p_seg.nii.gz"
    run(tmp_path / "cts")
    assert np.array_equal(classes(mask), tiny.body()[1])
    run(tmp_path / "cts", "resume=true", "series=1.2.3.5")
    made = mask.stat().st_mtime_ns
    assert np.array_equal(classes(mask), tiny.body(1)[1][:, :, :11])
    for choice in ("series=1.2.3.5", "series=null", "series=1.2.3.6"):  # the last is not in the folder
        run(tmp_path / "cts", "resume=true", choice)
        assert mask.stat().st_mtime_ns == made


def test_a_slice_that_was_damaged_later_is_an_error(run, tmp_path):
    folder = tiny.write_dicom(tmp_path / "cts" / "p")
    run(tmp_path / "cts")
    (folder / "link").symlink_to(folder / "nowhere")
    run(tmp_path / "cts", "resume=true")
    (folder / "005").write_bytes((folder / "005").read_bytes()[:200])
    with pytest.raises(UserError, match="its DICOM header is damaged"):
        run(tmp_path / "cts", "resume=true")
    assert not (tmp_path / "masks" / "p_seg.nii.gz").exists()


def test_a_mask_without_a_record_of_its_ct_is_not_completed_on_another_grid(run, tmp_path):
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0])
    run(tmp_path / "ct.nii.gz")
    report = tmp_path / "masks" / "ct_report.json"
    report.write_text(json.dumps({key: value for key, value in read(report).items() if key != "input"}))
    tiny.save(tmp_path / "ct.nii.gz", tiny.body()[0][:, 1:])
    with pytest.raises(UserError, match="resample the label onto the CT's grid"):
        run(tmp_path / "ct.nii.gz", "resume=true", "organ_files=true")


class AllLiver:
    """Segments without a network."""

    @staticmethod
    def segment(scan, exact, doubted):
        evidence = gather_evidence(Region(torch.zeros(1 + len(doubted), 1, 1, 1), (0, 0, 0)), np.eye(4), {})
        return Segmented(np.ones(scan.data.shape, np.uint8), [], evidence)


def test_a_ct_that_is_replaced_while_the_network_runs_is_segmented_again(run, tmp_path, monkeypatch):
    """The report states the CT that was read."""
    path = tmp_path / "cts" / "a.nii.gz"

    class Replacing(AllLiver):
        @staticmethod
        def segment(scan, exact, doubted):
            tiny.save(path, tiny.body(1)[0])
            return AllLiver.segment(scan, exact, doubted)

    tiny.save(path, tiny.body()[0])
    with monkeypatch.context() as patched:
        patched.setattr(module.ensemble.Ensemble, "segmenter", Replacing)
        run(tmp_path / "cts")
    run(tmp_path / "cts", "resume=true")
    assert np.array_equal(classes(tmp_path / "masks" / "a_seg.nii.gz"), tiny.body(1)[1])


def test_memory_does_not_grow_with_the_number_of_scans(run, tmp_path, monkeypatch):
    """Scan and mask have 8 MB; ten of them would be more than what is allowed. The network is left out."""
    hu = np.tile(tiny.body()[0], (8, 10, 8))
    monkeypatch.setattr(module.ensemble.Ensemble, "segmenter", AllLiver)
    for number in range(24):
        (tmp_path / "cts").mkdir(exist_ok=True)
        path = tmp_path / "cts" / f"{number:02d}.nii"
        path.hardlink_to(tmp_path / "cts" / "00.nii") if number else tiny.save(path, hu)
    memory = []

    def segment(batch, item, work=Batch.segment):
        text = work(batch, item)
        memory.append(psutil.Process().memory_info().rss / 2**20)
        return text

    monkeypatch.setattr(Batch, "segment", segment)
    run(tmp_path / "cts")
    assert len(memory) == 24
    assert max(memory[4:]) - max(memory[:4]) < 80
