"""The configuration of each public data set, with files named as in its archives."""

import json
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from small_ct import touch

from segment.datasets.fetch.catalogue import FOLDER
from segment.errors import UserError

CONF = Path(__file__).parents[3] / "conf"


def listed(name, root, monkeypatch):
    monkeypatch.setenv(f"{name.upper()}_ROOT", str(root))
    cfg = OmegaConf.merge({"cache_dir": "cache"}, OmegaConf.load(CONF / "data" / f"{name}.yaml"))
    return instantiate(cfg.sources[name], _convert_="all").cases(name)


def shown(cases):
    return [(c.id, c.patient.partition("/")[2] == c.id.partition("/")[2], c.part) for c in cases]


def pairs(root, *cases):
    touch(root, *(file for case in cases for file in case))


def test_amos22_leaves_mri_out(tmp_path, monkeypatch):
    for folders, numbers in ((("imagesTr", "labelsTr"), (1, 410, 507)), (("imagesVa", "labelsVa"), (8, 600))):
        touch(tmp_path, *(f"amos22/{folder}/amos_{n:04}.nii.gz" for folder in folders for n in numbers))
    touch(tmp_path, "amos22/imagesTs/amos_0002.nii.gz", "amos22/dataset.json", "amos22/readme.md")
    cases = listed("amos22", tmp_path, monkeypatch)
    assert shown(cases) == [
        ("amos22/amos_0001", True, "train"),
        ("amos22/amos_0008", True, "val"),
        ("amos22/amos_0410", True, "train"),
    ]


def test_btcv(tmp_path, monkeypatch):
    root = tmp_path / "RawData"
    pairs(root, *[(f"Training/img/img{n}.nii.gz", f"Training/label/label{n}.nii.gz") for n in ("0001", "0021")])
    touch(root, "Testing/img/img0061.nii.gz")
    cases = listed("btcv", tmp_path, monkeypatch)
    assert shown(cases) == [("btcv/0001", True, ""), ("btcv/0021", True, "")]
    assert [cases[0].image.name, cases[0].label.path.name] == ["img0001.nii.gz", "label0001.nii.gz"]


@pytest.mark.parametrize("test_labels", [True, False])
def test_word(tmp_path, monkeypatch, test_labels):
    root = tmp_path / "WORD-V0.1.0"
    for part, name in (("Tr", "word_0002"), ("Val", "word_0001"), ("Ts", "word_0007")):
        touch(root, f"images{part}/{name}.nii.gz")
        if part != "Ts" or test_labels:
            touch(root, f"labels{part}/{name}.nii.gz")
    cases = listed("word", tmp_path, monkeypatch)
    expected = [("word/word_0001", True, "val"), ("word/word_0002", True, "train"), ("word/word_0007", True, "test")]
    assert shown(cases) == expected[: 2 + test_labels]


def test_abdomenct1k_has_unlabelled_cts_and_kidneys_without_sides(tmp_path, monkeypatch, caplog):
    for part, name in ((1, "Case_00001"), (3, "Case_01062")):
        touch(tmp_path, f"part{part}/AbdomenCT-1K-ImagePart{part}/{name}_0000.nii.gz")
    touch(tmp_path, "Mask/Case_00001.nii.gz")
    (case,) = listed("abdomenct1k", tmp_path, monkeypatch)
    assert shown([case]) == [("abdomenct1k/Case_00001", True, "")]
    assert "1 of 2 CTs have no label" in caplog.text
    assert set(case.label.structures) == {"liver", "right_kidney", "left_kidney", "spleen", "pancreas"}


def test_kits23_leaves_single_instances_out(tmp_path, monkeypatch):
    for case in ("case_00000", "case_00588"):
        touch(tmp_path, f"dataset/{case}/imaging.nii.gz", f"dataset/{case}/segmentation.nii.gz")
        touch(tmp_path, f"dataset/{case}/instances/kidney_instance-1_annotation-1.nii.gz")
    cases = listed("kits23", tmp_path / "dataset", monkeypatch)
    assert shown(cases) == [("kits23/case_00000", True, ""), ("kits23/case_00588", True, "")]
    assert set(cases[0].label.structures) == {"right_kidney", "left_kidney"}


@pytest.mark.parametrize(
    ("name", "folder", "labels", "codes"),
    [
        ("msd_liver", "Task03_Liver", {"0": "background", "1": "liver", "2": "cancer"}, {"liver": [1, 2]}),
        ("msd_spleen", "Task09_Spleen", {"0": "background", "1": "spleen"}, {"spleen": [1]}),
    ],
)
def test_decathlon(tmp_path, monkeypatch, name, folder, labels, codes):
    organ = name.removeprefix("msd_")
    root = tmp_path / folder
    for kind in ("imagesTr", "labelsTr"):
        touch(root, f"{kind}/{organ}_2.nii.gz", f"{kind}/._{organ}_2.nii.gz")
    training = [{"image": f"./imagesTr/{organ}_2.nii.gz", "label": f"./labelsTr/{organ}_2.nii.gz"}]
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": labels, "training": training}))
    (case,) = listed(name, tmp_path, monkeypatch)
    assert case.id == f"{name}/{organ}_2"
    assert case.label.codes == codes


def test_totalsegmentator(tmp_path, monkeypatch):
    named = OmegaConf.load(CONF / "data" / "totalsegmentator.yaml").sources.totalsegmentator.names
    masks = {ours: theirs for theirs, ours in named.items()}
    for case in ("s0000", "s1429"):
        touch(tmp_path, f"{case}/ct.nii.gz", f"{case}/segmentations/rib_left_1.nii.gz")
        touch(tmp_path, *(f"{case}/segmentations/{mask}.nii.gz" for mask in masks.values()))
    header = (
        "image_id;age;gender;institute;study_type;split;manufacturer;scanner_model;kvp;pathology;pathology_location"
    )
    rows = ["s0000;70;m;A;ct abdomen;train;;;;;", "s1429;70;m;B;ct abdomen;val;;;;;"]
    (tmp_path / "meta.csv").write_text("\n".join([header, *rows]), encoding="utf-8-sig")
    cases = listed("totalsegmentator", tmp_path, monkeypatch)
    assert shown(cases) == [("totalsegmentator/s0000", True, "train"), ("totalsegmentator/s1429", True, "val")]
    assert [c.group for c in cases] == ["A", "B"]
    assert {organ: path.name for organ, path in cases[0].label.paths.items()} == {
        organ: f"{mask}.nii.gz" for organ, mask in masks.items()
    }


def test_chaos_ct(tmp_path, monkeypatch):
    folder = tmp_path / "Train_Sets" / "CT" / "1"
    touch(folder, "DICOM_anon/i0000,0000b.dcm", "Ground/liver_GT_000.png")
    (case,) = listed("chaos_ct", tmp_path, monkeypatch)
    assert (case.id, case.image) == ("chaos_ct/1", folder / "DICOM_anon")
    assert list(case.label.structures) == ["liver"]


ALL = sorted(p.stem for p in (CONF / "data").glob("*.yaml") if "_ROOT" in p.read_text())


def test_every_set_of_the_catalogue_has_its_configuration():
    assert sorted(p.stem for p in FOLDER.glob("*.yaml")) == ALL


@pytest.mark.parametrize("name", ALL)
def test_a_missing_set(name, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no such folder: .*nowhere"):
        listed(name, tmp_path / "nowhere", monkeypatch)
