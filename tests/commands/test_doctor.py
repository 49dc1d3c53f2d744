"""`segment doctor` as a command, on synthetic CTs."""

import json
import os
import re
import signal

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from segment.commands import doctor as doctor_command
from segment.datasets.cases import Case
from segment.doctor import inspection
from segment.phantom import LABELS, write_dataset

CODES = f"data.sources.folder.label_codes={{{', '.join(f'{name}: {code}' for name, code in LABELS.items())}}}"


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Twelve synthetic cases in several orientations; one CT has padding."""
    root = tmp_path_factory.mktemp("phantom")
    folder = write_dataset(root, num_cases=14, seed=3, shape=(64, 64, 48), scans=["abdomen"])
    for path in folder.glob("*/phantom_seed3_*"):
        path.replace(path.with_name(path.name.replace("seed3_", "")))
    # Cases 6 and 12 have a small kidney, which is a warning.
    for path in folder.glob("*/phantom_0013.nii.gz"):
        path.replace(path.with_name("phantom_0006.nii.gz"))
    for path in folder.glob("*/phantom_0012.nii.gz"):
        path.unlink()
    return folder


@pytest.fixture
def cts(phantoms, tmp_path):
    """Four of the cases, for tests to damage."""
    for part in ("images", "labels"):
        (tmp_path / "cts" / part).mkdir(parents=True)
        for number in range(4):
            name = f"phantom_{number:04d}.nii.gz"
            (tmp_path / "cts" / part / name).write_bytes((phantoms / part / name).read_bytes())
    return tmp_path / "cts"


@pytest.fixture
def doctor(tmp_path, monkeypatch, invoke):
    """Run the command; returns exit code, findings.json, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGMENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(root, *arguments):
        options = dict(argument.split("=", 1) for argument in arguments if not argument.startswith("~"))
        data = [] if "data" in options else ["data=folder", f"data.sources.folder.root={root}", CODES]
        defaults = {"num_workers": "0", "hydra.run.dir": "run"}
        others = [f"{key}={value}" for key, value in defaults.items() if key not in options]
        code, out, err = invoke(doctor_command.main, *data, *others, *arguments)
        path = tmp_path / (defaults | options)["hydra.run.dir"] / "findings.json"
        return code, json.loads(path.read_text()) if path.exists() else None, out, err

    return call


def change(path, how):
    image = nib.load(path)
    nib.save(nib.Nifti1Image(how(np.asarray(image.dataobj)), None, image.header), path)


def swap_kidneys(cts):
    """Exchange the codes of the kidneys, 2 and 13, in one case."""
    swap = np.arange(256, dtype=np.uint8)
    swap[[2, 13]] = 13, 2
    change(cts / "labels" / "phantom_0001.nii.gz", lambda label: swap[label])


def worse_than_note(found):
    """Errors and warnings, without those that all coarse synthetic CTs have."""
    result = []
    for finding in found["findings"]:
        is_shared = finding["check"] in ("spacing", "in pieces") and ", " in finding["case"]
        if finding["severity"] != "note" and not is_shared:
            result.append((finding["severity"], finding["check"], finding["case"]))
    return result


def test_clean_data_sets_have_neither_errors_nor_warnings(doctor, phantoms, tmp_path):
    code, found, out, _ = doctor(phantoms, "num_workers=2")
    assert worse_than_note(found) == []
    assert (code, found["cases"]) == (0, 12)
    assert "0 error(s)" in out
    with Image.open(tmp_path / "run" / "sheet.png") as sheet:
        assert sheet.width > 2000
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {"config.yaml", "doctor.log", "environment.json"}


def test_swapped_labels_are_found(doctor, cts):
    swap_kidneys(cts)
    code, found, out, err = doctor(cts)
    assert worse_than_note(found) == [("error", "swapped labels", "folder/phantom_0001")]
    assert "right_kidney, left_kidney lie on the wrong side" in found["findings"][0]["what"]
    assert "swap these organs' codes" in out
    assert code == 2
    assert "error: 1 error(s)" in err


def test_a_mirrored_case_is_not_reported_as_swapped_labels(doctor, cts):
    def mirror(path):
        image = nib.load(path)
        affine = np.diag([-1, 1, 1, 1]) @ image.affine
        image.set_sform(affine)
        image.set_qform(affine)
        nib.save(image, path)

    for part in ("images", "labels"):
        mirror(cts / part / "phantom_0001.nii.gz")
    _, found, _, _ = doctor(cts)
    assert worse_than_note(found) == [("error", "mirrored", "folder/phantom_0001")]


def test_damaged_and_duplicate_files_do_not_stop_the_others(doctor, cts, tmp_path):
    bad = cts / "images" / "phantom_0000.nii.gz"
    bad.write_bytes(bad.read_bytes()[:2000])
    (cts / "images" / "phantom_0003.nii.gz").write_bytes((cts / "images" / "phantom_0001.nii.gz").read_bytes())
    (cts / "labels" / "phantom_0003.nii.gz").write_bytes((cts / "labels" / "phantom_0001.nii.gz").read_bytes())
    code, found, _, _ = doctor(cts)
    assert worse_than_note(found) == [
        ("error", "unreadable", "folder/phantom_0000"),
        ("error", "duplicate", "folder/phantom_0001, folder/phantom_0003"),
    ]
    assert code == 2
    assert (tmp_path / "run" / "sheet.png").exists()
    assert str(tmp_path) not in (tmp_path / "run" / "findings.json").read_text()


def manifest_of(path, rows):
    """Write a manifest; returns the arguments that select it.

    Args:
        path: The manifest.
        rows: Name of the label's column, case, image and label.
    """
    cells = [{"case": case, "image": str(image), column: str(label)} for column, case, image, label in rows]
    path.write_text(json.dumps(cells))
    codes = CODES.replace("data.sources.folder", "data.sources.manifest")
    return ["data=manifest", f"data.sources.manifest.path={path}", codes]


@pytest.mark.parametrize("sides", ["null", "{kidney: [right_kidney, left_kidney]}"])
def test_a_damaged_file_of_any_kind_is_an_error_of_one_case(doctor, cts, tmp_path, sides):
    image, sound = (cts / part / "phantom_0000.nii.gz" for part in ("images", "labels"))
    for name in ("cut.nii.gz", "cut.dcm", "ct/000.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(sound.read_bytes()[:2000])
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("send the CT")
    rows = [
        ("label", "codes", image, tmp_path / "cut.nii.gz"),
        ("label:liver", "mask", image, tmp_path / "cut.nii.gz"),
        ("label", "segmentation", image, tmp_path / "cut.dcm"),
        ("label", "folder", image, cts / "labels"),
        ("label", "slices", tmp_path / "ct", sound),
        ("label", "no slices", tmp_path / "notes", sound),
        ("label", "file", tmp_path / "cut.nii.gz", sound),
        ("label", "sound", image, sound),
    ]
    arguments = [*manifest_of(tmp_path / "cases.json", rows), f"data.sources.manifest.sides={sides}"]
    code, found, _, _ = doctor(cts, *arguments)
    assert code == 2
    errors = [f for f in found["findings"] if f["severity"] == "error" and f["check"] != "duplicate"]  # one CT for all
    assert {(f["check"], f["case"]) for f in errors} == {
        *(("unreadable", f"manifest/{name}") for name in ("codes", "mask", "folder", "slices", "no slices", "file")),
        ("label", "manifest/segmentation"),
    }
    (label,) = (f for f in errors if f["check"] == "label")
    assert "cut.dcm: it is damaged, compressed or not a DICOM segmentation" in label["what"]
    assert label["remedy"] == "copy it again or decompress it"


def test_warnings_are_a_failure_only_with_strict(doctor, cts):
    path = cts / "images" / "phantom_0000.nii.gz"
    change(path, lambda hu: hu)
    image = nib.load(path)
    moved = image.affine + np.eye(4, k=3) * 5
    image.set_qform(moved)
    nib.save(image, path)
    code, found, _, _ = doctor(cts)
    assert worse_than_note(found) == [("warning", "forms disagree", "folder/phantom_0000")]
    assert code == 0
    code, _, _, err = doctor(cts, "strict=true", "hydra.run.dir=again")
    assert code == 2
    assert re.search(r"error: 0 error\(s\), \d warning\(s\)", err)


def test_a_patient_in_two_parts_of_a_split_is_found(doctor, cts, tmp_path):
    names = [f"folder/phantom_{number:04d}" for number in range(4)]
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": names[:2], "val": names[2:3], "test": names[3:]}))
    arguments = ["split=file", f"split.path={split}"]
    code, found, _, _ = doctor(cts, *arguments)
    assert (code, worse_than_note(found)) == (0, [])
    code, found, _, _ = doctor(
        cts, *arguments, "data.sources.folder.patient_pattern='(phantom)'", "hydra.run.dir=again"
    )
    assert (code, worse_than_note(found)) == (2, [("error", "split", "split")])
    assert found["findings"][0]["what"] == "patient folder/phantom is in both train and val"


def test_undeclared_codes_are_listed_and_the_proposed_option_works(doctor, phantoms):
    code, found, out, _ = doctor(phantoms, "data=folder", f"data.sources.folder.root={phantoms}")
    (finding,) = (f for f in found["findings"] if f["check"] == "label codes")
    assert (code, finding["severity"], finding["case"]) == (2, "error", "folder")
    assert "9 code(s) 1, 2, 3, 4, 5, 6, 9, 11, 13" in finding["what"]
    assert "the table of data=flare22" in finding["what"]
    line = re.search("pass '(data.sources.folder.label_codes={.*})'", out)[1]  # not wrapped
    named = dict(re.findall(r"(\w+): (\d+)", line))
    assert {name: int(code) for name, code in named.items()} == LABELS
    row = next(line for line in out.splitlines() if re.match(r"│ +13 ", line))
    assert re.match(r"│ +13 │ - +│ +10 │ +\d+ │ \d\d mm left +│ \d\d mm below +│ +\d+ │", row)
    again = [f"data.sources.folder.root={phantoms}", line, "hydra.run.dir=again"]
    code, found, _, _ = doctor(phantoms, "data=folder", *again)
    assert (code, worse_than_note(found)) == (0, [])


def test_codes_exchanged_in_the_configuration_are_reported_once(doctor, phantoms):
    swapped = LABELS | {"left_kidney": LABELS["spleen"], "spleen": LABELS["left_kidney"]}
    codes = f"data.sources.folder.label_codes={{{', '.join(f'{name}: {code}' for name, code in swapped.items())}}}"
    code, found, _, _ = doctor(phantoms, "data=folder", f"data.sources.folder.root={phantoms}", codes)
    assert code == 2
    errors = {f["check"]: f for f in found["findings"] if f["severity"] == "error"}
    assert errors.keys() == {"position", "label codes"}
    # Two of the patients have no left kidney; for them a warning names the spleen alone.
    assert [f["severity"] for f in found["findings"] if f["check"] == "position"].count("error") == 1
    assert errors["position"]["what"].startswith(
        "left_kidney is where spleen should be, spleen is where left_kidney sh"
    )
    assert errors["label codes"]["what"] == (
        "3 is where spleen should be, not left_kidney, 13 is where left_kidney should be, not spleen; the table of "
        "data=flare22 agrees"
    )


def test_a_bug_in_a_check_is_an_error_of_one_case(doctor, cts, monkeypatch):
    def inspect(case: Case, organs, anatomy):
        if case.id.endswith("2"):
            msg = "a bug"
            raise ZeroDivisionError(msg)
        return original(case, organs, anatomy)

    original = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", inspect)
    code, found, _, _ = doctor(cts)
    assert code == 2
    assert worse_than_note(found) == [("error", "failed", "folder/phantom_0002")]
    assert "ZeroDivisionError: a bug" in found["findings"][0]["what"]


@pytest.mark.parametrize(
    ("check", "about", "what"),
    [
        ("check_set", "all cases", "the checks of the data set as a whole failed"),
        ("public_tables", "all cases", "the public tables of codes could not be read"),
        ("check_codes", "folder", "the check of its codes failed"),
        ("merge_shared", "all cases", "findings that most cases share could not be merged"),
    ],
)
def test_a_bug_in_a_check_of_the_whole_set_keeps_the_other_findings(doctor, cts, monkeypatch, check, about, what):
    def broken(*_):
        msg = "a bug"
        raise ZeroDivisionError(msg)

    swap_kidneys(cts)
    monkeypatch.setattr(doctor_command, check, broken)
    code, found, out, _ = doctor(cts)
    errors = {(f["check"], f["case"]): f["what"] for f in found["findings"] if f["severity"] == "error"}
    assert errors.keys() == {("swapped labels", "folder/phantom_0001"), ("failed", about)}
    assert errors["failed", about] == f"{what}: ZeroDivisionError: a bug"
    assert code == 2
    assert "swap these organs' codes" in out


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_process_is_an_error_of_the_case_it_inspected(doctor, cts, monkeypatch, workers):
    def inspect(case: Case, organs, anatomy):
        if case.id.endswith("1"):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(case, organs, anatomy)

    original = inspection.inspect
    monkeypatch.setattr(inspection, "inspect", inspect)
    code, found, _, err = doctor(cts, f"num_workers={workers}")
    assert (code, found["cases"]) == (2, 4)
    assert worse_than_note(found) == [("error", "killed", "folder/phantom_0001")]
    assert "error: 1 error(s), 0 warning(s)" in err


def test_cases_without_image_or_label_do_not_stop_the_others(doctor, cts, tmp_path):
    (cts / "labels" / "phantom_0001.nii.gz").unlink()
    (cts / "images" / "phantom_0002.nii.gz").unlink()
    code, found, _, err = doctor(cts)
    assert (code, found["cases"]) == (2, 4)
    assert worse_than_note(found) == [
        ("error", "unusable", "folder/phantom_0001"),
        ("error", "unusable", "folder/phantom_0002"),
    ]
    assert "error: 2 error(s), 0 warning(s)" in err
    assert (tmp_path / "run" / "sheet.png").exists()


def test_a_set_of_unusable_cases_only_is_reported(doctor, cts):
    for label in (cts / "labels").iterdir():
        label.rename(label.with_name(f"other_{label.name}"))
    code, found, _, _ = doctor(cts)
    assert (code, found["cases"]) == (2, 8)
    assert {f["check"] for f in found["findings"]} == {"unusable"}


def test_a_missing_data_set_is_one_sentence(doctor, tmp_path):
    code, found, _, err = doctor(tmp_path / "nowhere")
    assert (code, found) == (2, None)
    assert "error: no such folder" in err


def test_an_absurd_spacing_is_an_error_and_needs_no_memory(doctor, cts):
    for part in ("images", "labels"):
        path = cts / part / "phantom_0001.nii.gz"
        image = nib.load(path)
        image.set_sform(np.diag([1000, 1000, 1000, 1]) @ image.affine)
        nib.save(image, path)
    _, found, _, _ = doctor(cts)
    errors = {(f["check"], f["case"]) for f in found["findings"] if f["severity"] == "error"}
    assert errors == {("unreadable", "folder/phantom_0001")}  # no voxel is that large


def test_a_failed_picture_keeps_all_findings(doctor, cts, monkeypatch):
    def broken(*_):
        msg = "no font"
        raise OSError(msg)

    swap_kidneys(cts)
    monkeypatch.setattr(inspection, "render_thumbnail", broken)
    monkeypatch.setattr(doctor_command, "write_sheets", broken)
    code, found, out, err = doctor(cts)
    checks = [(f["check"], f["case"]) for f in found["findings"] if f["severity"] == "error"]
    assert ("swapped labels", "folder/phantom_0001") in checks
    assert sum(check == "picture" for check, _ in checks) == 1  # for all four
    assert code == 2
    assert "swap these organs' codes" in out
    assert "cannot make the contact sheet: OSError: no font" in err


def test_structures_that_cannot_be_checked_are_listed(doctor, cts):
    _, _, out, _ = doctor(cts, "~anatomy.volume_ml.aorta", "~anatomy.volume_ml.stomach")
    assert "not checked, because anatomy.volume_ml does not name them: aorta, stomach\n" in out


def test_organs_without_a_check_of_their_side_are_listed(doctor, cts):
    err = doctor(cts, "anatomy.right=[liver]", "anatomy.left=[spleen]")[3]
    assert "no check finds right_kidney, left_kidney" in err
    assert "no check finds" not in doctor(cts)[3]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_warning_of_a_reader_is_reported_once_as_a_finding(doctor, cts, workers):
    path = cts / "images" / "phantom_0000.nii.gz"
    image = nib.load(path)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, path)
    _, found, _, err = doctor(cts, f"num_workers={workers}")
    own = [f["check"] for f in found["findings"] if f["case"] == "folder/phantom_0000"]
    assert own.count("no orientation") == 1
    assert "left and right are a guess" not in err
