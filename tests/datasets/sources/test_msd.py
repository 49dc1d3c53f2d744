import json

import pytest
from small_ct import touch

from segment.datasets.sources.msd import Decathlon
from segment.errors import UserError

TASK = {
    "name": "Liver",
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "liver", "2": "cancer"},
    "numTraining": 2,
    "training": [
        {"image": f"./imagesTr/liver_{n}.nii.gz", "label": f"./labelsTr/liver_{n}.nii.gz"} for n in ("10", "2")
    ],
    "test": ["./imagesTs/liver_3.nii.gz"],
}


def task(root, description=None):
    for number in (2, 10):
        for kind in ("imagesTr", "labelsTr"):
            touch(root, f"{kind}/liver_{number}.nii.gz", f"{kind}/._liver_{number}.nii.gz")
    touch(root, "imagesTs/liver_3.nii.gz", "._dataset.json")
    (root / "dataset.json").write_text(json.dumps(TASK | (description or {})))
    return root


@pytest.mark.parametrize("around", ["", "Task03_Liver"])
def test_training_cases_are_listed_and_names_merged(tmp_path, around):
    root = task(tmp_path / around)
    cases = Decathlon(tmp_path, {"cancer": "liver"}).cases("msd")
    assert [c.id for c in cases] == ["msd/liver_10", "msd/liver_2"]
    assert (cases[1].image, cases[1].label.path) == tuple(
        root / kind / "liver_2.nii.gz" for kind in ("imagesTr", "labelsTr")
    )
    assert cases[0].label.codes == {"liver": [1, 2]}


def test_a_missing_file(tmp_path):
    (task(tmp_path) / "labelsTr" / "liver_2.nii.gz").unlink()
    with pytest.raises(UserError, match=r"lists 1 file\(s\) that are not there: .*labelsTr/liver_2"):
        Decathlon(tmp_path).cases("msd")


def test_the_other_file_of_an_incomplete_case_is_listed(tmp_path):
    (task(tmp_path) / "labelsTr" / "liver_2.nii.gz").unlink()
    source, refused = Decathlon(tmp_path), []
    cases = source.cases("msd", refused)
    assert [name for name, _ in refused] == ["msd/liver_2"]
    assert not [left for left in source.left_out(cases) if "liver_2" in left.name]


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"modality": {"0": "T2", "1": "ADC"}}, "has 2 channels, T2, ADC"),
        ({"training": None}, r'lists no cases; add "training": \['),
        ({"training": [{"image": "./imagesTr/liver_2.nii.gz"}]}, "lists no cases; add"),
        ({"training": []}, "lists 0 cases under 0 names"),
        ({"training": TASK["training"] * 2}, "lists 4 cases under 2 names; list every case once"),
        ({"labels": {"1": "liver"}}, "names declares 'cancer'"),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(tmp_path, description, message):
    with pytest.raises(UserError, match=message):
        Decathlon(task(tmp_path, description), {"cancer": "liver"}).cases("msd")
