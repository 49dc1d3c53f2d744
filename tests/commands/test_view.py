import json

import nibabel as nib
import numpy as np
import pytest
import small_ct
from page_data import data_of
from run_folders import write_run

from segment.commands.view import main


@pytest.fixture
def masks(tmp_path):
    """The output of `segment predict` for two CTs, whose masks are their labels with other codes."""
    folder = tmp_path / "masks"
    folder.mkdir()
    rows = ["case,organ,volume_ml"]
    for name in ("a", "b"):
        _, label = small_ct.write_case(tmp_path, name, seed=ord(name))
        stored = nib.load(label)
        codes = np.asarray(stored.dataobj)
        mask = ((codes == 5) + 2 * (codes == 2)).astype(np.uint8)
        nib.save(nib.Nifti1Image(mask, stored.affine), folder / f"{name}_seg.nii.gz")
        rows += [f"{name},liver,1", f"{name},spleen,1"]
    (folder / "volumes.csv").write_text("\n".join(rows) + "\n")
    (folder / "checkpoint.sha256").write_text(f"{'ab' * 32}  best.ckpt\n")
    return folder


def test_the_page_of_a_prediction(masks, tmp_path, invoke):
    code, out, err = invoke(main, f"path={masks}", f"input={tmp_path}/images")
    assert code == 0, err
    assert out.startswith("a: in the page\nb: in the page\npage: ")
    data = data_of(masks / "index.html")
    assert (data["title"], data["subtitle"]) == ("Prediction masks", "2 CTs; best.ckpt (SHA-256 abababababab…)")
    assert [organ["name"] for organ in data["organs"]] == ["liver", "spleen"]
    voxels = np.count_nonzero(np.asarray(nib.load(masks / "a_seg.nii.gz").dataobj) == 1)
    assert data["cases"][0]["organs"][0]["volume_ml"] == pytest.approx(voxels * 0.012, rel=1e-3)
    assert all(case["scan"]["reference"] is None for case in data["cases"])
    assert str(tmp_path) not in (masks / "index.html").read_text(encoding="utf-8")


def test_references_with_their_own_codes(masks, tmp_path, invoke):
    (tmp_path / "labels" / "b.nii.gz").unlink()
    arguments = [f"path=[{masks}]", f"input={tmp_path}/images", f"reference={tmp_path}/labels"]
    code, _, err = invoke(main, *arguments, "reference_codes={liver: 5, spleen: [2]}", f"output={tmp_path}/x.html")
    assert code == 0, err
    cases = {case["name"]: case["scan"]["reference"] for case in data_of(tmp_path / "x.html")["cases"]}
    assert cases["a"] is not None
    assert cases["b"] is None


def test_the_values_of_a_mask_come_from_its_report(masks, tmp_path, invoke):
    for name in ("a", "b"):
        stored = nib.load(masks / f"{name}_seg.nii.gz")
        nib.save(nib.Nifti1Image(np.asarray(stored.dataobj) * 7, stored.affine), masks / f"{name}_seg.nii.gz")
        organs = [{"organ": "liver", "number": 7}, {"organ": "spleen", "number": 14}]
        (masks / f"{name}_report.json").write_text(json.dumps({"organs": organs}))
    code, _, err = invoke(main, f"path={masks}", f"input={tmp_path}/images")
    assert code == 0, err
    assert data_of(masks / "index.html")["cases"][0]["organs"][1]["volume_ml"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no CT for 2 mask(s) in {masks}: a, b; give input=<the same input as segment predict>"),
        (["input={images}/a.nii.gz"], "no CT for 1 mask(s) in {masks}: b; give input="),
        (["input={images}", "reference={labels}"], "which is no organ of this prediction"),
        (["input={images}", "reference={labels}/a.nii.gz"], "is one file for 2 cases; give a folder"),
        (["input={images}", "reference={masks}"], "has no label map for a case, e.g. a.nii.gz"),
        (["input={images}", "reference_codes={{pancreas: 1}}"], "reference_codes names pancreas, but the masks have"),
        (["input={images}", "output={masks}/volumes.csv"], "must be a file that ends in .html"),
    ],
)
def test_what_is_wrong_is_said(masks, tmp_path, invoke, arguments, words):
    places = {"masks": masks, "images": tmp_path / "images", "labels": tmp_path / "labels"}
    code, _, err = invoke(main, f"path={masks}", *(argument.format(**places) for argument in arguments))
    assert code == 2
    assert words.format(**places) in err
    assert not (masks / "index.html").exists()


def test_only_a_page_is_replaced(masks, tmp_path, invoke):
    (masks / "index.html").write_text("my notes")
    code, _, err = invoke(main, f"path={masks}", f"input={tmp_path}/images")
    assert code == 2
    assert "exists and was not made by segment view" in err
    assert (masks / "index.html").read_text() == "my notes"


def test_the_page_of_a_run_compares_its_configuration_with_the_default(tmp_path, invoke):
    folder = tmp_path / "run"
    write_run(folder, ["set/a"], {"liver": np.array([0.9])}, ["set/t"], seed=7)
    for _ in range(2):  # the second page replaces the first one
        code, out, err = invoke(main, f"path={folder}")
        assert (code, err) == (0, "")
    assert out.startswith(f"page: {folder}/index.html (0.")
    data = data_of(folder / "index.html")
    seed = next(row for row in data["configuration"] if row["key"] == "seed")
    assert (seed["value"], seed["standard"], seed["differs"]) == ("7", "0", True)
    assert data["cases"][0]["mean"] == pytest.approx(0.9)


def test_a_folder_that_is_neither(tmp_path, invoke):
    code, _, err = invoke(main, f"path={tmp_path}")
    assert code == 2
    assert "holds neither masks (*_seg.nii.gz) nor a run, sweep, comparison or findings; name an output of" in err
    code, _, err = invoke(main, f"path={tmp_path}/nowhere")
    assert "is not a folder; name an output of segment predict or compare, or a folder of train" in err
    code, _, err = invoke(main, f"path=[{tmp_path},{tmp_path}]")
    assert "makes the page of one folder, got 2" in err


def test_cases_with_flags_come_first_and_reports_stand_in_for_scans(masks, tmp_path, invoke):
    """b has a flag, so the only scan that fits is its; the row of a is that of its report."""
    row = {"hu_mean": 50.0, "hu_sd": 9.0, "cut_by": [], "flags": []}
    for name, flags in (("a", []), ("b", ["absent: the mask does not have it"])):
        organs = [
            {"organ": organ, "number": number, "volume_ml": 123.0, **row}
            for number, organ in ((1, "liver"), (2, "spleen"))
        ]
        organs[1]["flags"] = flags
        (masks / f"{name}_report.json").write_text(json.dumps({"organs": organs}))
    code, out, err = invoke(main, f"path={masks}", f"input={tmp_path}/images", "max_mb=0.0001")
    assert code == 0, err
    assert out.startswith("b: in the page\npage: ")
    cases = {case["name"]: case for case in data_of(masks / "index.html")["cases"]}
    assert (cases["b"]["scan"] is None, cases["a"]["scan"] is None) == (False, True)
    assert cases["b"]["organs"][0]["volume_ml"] != 123.0
    assert [organ["volume_ml"] for organ in cases["a"]["organs"]] == [123.0, 123.0]
    assert "is not in the page" in cases["a"]["notes"][0]
