"""The files that belong to no case, as every source lists them."""

import json

import labelled_body
import pytest
from small_ct import CODES, touch

from segment.data.store.content import ContentRecord
from segment.datasets.cases import list_cases
from segment.datasets.sources.bids import Bids
from segment.datasets.sources.chaos import ChaosCT
from segment.datasets.sources.folder import Folder
from segment.datasets.sources.label_maps import LabelMaps
from segment.datasets.sources.manifest import Manifest
from segment.datasets.sources.msd import Decathlon
from segment.datasets.sources.nnunet import NNUNetRaw
from segment.datasets.sources.paired import Pair, Paired
from segment.datasets.sources.totalsegmentator import TotalSegmentator
from segment.io.left_out import COMPANION, UNUSED

TWO_FILES = "its header and voxels are separate files, which are not supported; convert it to .nii.gz or .mha"


def left_out(source):
    """Ids of the cases, and reasons by the names of the files that belong to none."""
    refused = []
    cases = source.cases("set", refused)
    return [case.id for case in cases], {one.name: one.reason for one in source.left_out(cases)}


@pytest.fixture
def description(tmp_path):
    labels = {"background": 0, "liver": 1}
    (tmp_path / "dataset.json").write_text(json.dumps({"channel_names": {"0": "CT"}, "labels": labels}))


def test_folder(tmp_path):
    touch(tmp_path, "images/A.NII.GZ", "labels/A.Nii", "images/s/1", "labels/s.DCM", "images/b.nii")  # b is refused
    touch(tmp_path, "images/sub/c.nii", "labels/sub/c.nii", "labels/d.mhd", "images/notes.txt", "elsewhere/e.nii")
    assert left_out(Folder(tmp_path, CODES)) == (
        ["set/A", "set/s"],
        {
            "images/sub/c.nii": "in the folder sub, where this layout expects no files; move it up",
            "labels/sub/c.nii": "in the folder sub, where this layout expects no files; move it up",
            "labels/d.mhd": TWO_FILES,
            "images/notes.txt": COMPANION,
        },
    )


def test_folder_with_tissue_maps(tmp_path):
    touch(tmp_path, "images/a.nii", "labels/a.nii", "tissues/a.nii", "tissues/b.nii")
    assert left_out(Folder(tmp_path, CODES, tissues="tissues")) == (["set/a"], {"tissues/b.nii": UNUSED})


@pytest.mark.usefixtures("description")
def test_nnunet(tmp_path):
    touch(tmp_path, "imagesTr/a_0000.NII.GZ", "labelsTr/a.nii.gz", "imagesTs/b_0000.nii.gz", "labelsTr/x/c.nii.gz")
    assert left_out(NNUNetRaw(tmp_path)) == (
        ["set/a"],
        {
            "labelsTr/x/c.nii.gz": "in the folder x, where this layout expects no files; move it up",
            "imagesTs/b_0000.nii.gz": UNUSED,
        },
    )


def test_decathlon(tmp_path):
    touch(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTr/b.nii.gz", "imagesTs/c.nii.gz")
    training = [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]
    text = json.dumps({"modality": {"0": "CT"}, "labels": {"1": "liver"}, "training": training})
    (tmp_path / "dataset.json").write_text(text)
    assert left_out(Decathlon(tmp_path)) == (
        ["set/a"],
        {
            "imagesTr/b.nii.gz": "not listed in dataset.json; list it under training, or remove it",
            "imagesTs/c.nii.gz": UNUSED,
        },
    )


@pytest.mark.parametrize("only_labelled", [False, True])
def test_paired(tmp_path, only_labelled):
    touch(tmp_path, "p1/ct.nii.gz", "p1/label.nii.gz", "p2/CT.nii.gz", "x/p3/ct.NII.GZ", "x/p3/label.Nii.gz")
    touch(tmp_path, "p4/ct.nii.gz", "p5/ct.mhd")  # p4 is refused unless CTs may lack a label
    source = Paired(tmp_path, [Pair("{case}/ct.nii.gz", "{case}/label.nii.gz")], CODES, only_labelled=only_labelled)
    unlabelled = {"p4/ct.nii.gz": UNUSED} if only_labelled else {}
    assert left_out(source) == (
        ["set/p1", "set/p3"],
        {"p2/CT.nii.gz": UNUSED, "p5/ct.mhd": TWO_FILES, **unlabelled},
    )


def test_totalsegmentator(tmp_path):
    touch(tmp_path, "s1/ct.nii.gz", "s1/segmentations/liver.NII.GZ", "s1/segmentations/rib.nii.gz", "s2/CT.NII.GZ")
    cases, found = left_out(TotalSegmentator(tmp_path, {"liver": "liver"}))
    assert cases == ["set/s1"]
    assert found["s1/segmentations/rib.nii.gz"] == UNUSED
    assert found["s2/CT.NII.GZ"].startswith("neither a CT (<case>/ct.nii.gz)")


def test_label_maps_of_the_user(tmp_path):
    labelled_body.write(tmp_path / "set", "a")
    folder = tmp_path / "set" / "labels"
    touch(folder, "b.mgz", "more/c.nii.gz", "d.dcm")
    options = {"variants": 1, "spacing_mm": [7, 7, 7], "workers": 1, "label_codes": labelled_body.CODES}
    source = LabelMaps(tmp_path / "made", ContentRecord(tmp_path / "hashes"), maps=folder, **options)
    cases, found = left_out(source)
    assert cases == ["set/a_0"]
    assert list(found) == ["b.mgz", "more/c.nii.gz", "d.dcm"]
    assert "convert it to a label map (.nii.gz)" in found["d.dcm"]


def test_bids(tmp_path):
    touch(tmp_path, "sub-1/ct/sub-1_ct.NII.GZ", "sub-1/anat/sub-1_T1w.nii.gz", "derivatives/d/sub-1/sub-1_dseg.nii.gz")
    touch(tmp_path, "derivatives/d/sub-1/sub-1_space-MNI_dseg.nii.gz", "sub-1/ct/sub-1_ct.json")
    (tmp_path / "derivatives" / "d" / "dseg.tsv").write_text("index\tname\n1\tliver\n")
    assert left_out(Bids(tmp_path)) == (
        ["set/sub-1"],
        {
            "sub-1/anat/sub-1_T1w.nii.gz": UNUSED,
            "sub-1/ct/sub-1_ct.json": COMPANION,
            "derivatives/d/dseg.tsv": COMPANION,
            "derivatives/d/sub-1/sub-1_space-MNI_dseg.nii.gz": UNUSED,
        },
    )


def test_chaos(tmp_path):
    touch(tmp_path, "CT/1/DICOM_anon/i1.DCM", "CT/1/Ground/liver.PNG", "Test/CT/2/DICOM_anon/i1.dcm")
    assert left_out(ChaosCT(tmp_path)) == (["set/1"], {"Test/CT/2/DICOM_anon": "no pictures beside it in Ground"})


def test_manifest(tmp_path):
    touch(tmp_path, "a.NII.GZ", "a.nii")
    (tmp_path / "m.csv").write_text("case,image,label:liver,Split\na,a.NII.GZ,a.nii,train\n")
    cases, found = left_out(Manifest(tmp_path / "m.csv"))
    assert cases == ["set/a"]
    assert found["Split"].startswith("an unknown column; the known ones are case, image, label")


def test_the_log_names_files_that_belong_to_no_case(tmp_path, caplog):
    touch(tmp_path, "images/a.nii", "labels/a.nii", "images/b.mhd", "images/notes.txt")
    caplog.set_level("INFO")
    list_cases({"mine": Folder(tmp_path, CODES)})
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", f"mine: 1 left out (images/b.mhd): {TWO_FILES}"),
        ("INFO", f"mine: 1 left out (images/notes.txt): {COMPANION}"),
    ]
