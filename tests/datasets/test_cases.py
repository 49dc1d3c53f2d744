import pytest
from small_ct import CODES, touch

from segment.datasets.cases import Case, list_cases, list_usable_cases, patient_aliases
from segment.datasets.sources.folder import Folder
from segment.errors import UserError


def test_sources_are_mixed_in_the_order_of_the_configuration(tmp_path):
    for folder in ("x", "y"):
        touch(tmp_path / folder, "images/a.nii", "labels/a.nii")
    cases = list_cases({"two": Folder(tmp_path / "y", CODES), "one": Folder(tmp_path / "x", {"liver": 1})})
    assert [(c.id, c.patient, c.image.parts[-3]) for c in cases] == [("two/a", "two/a", "y"), ("one/a", "one/a", "x")]
    assert [c.label.codes for c in cases] == [CODES, {"liver": 1}]


def test_no_source():
    with pytest.raises(UserError, match="no data set chosen; add one"):
        list_cases({})


def test_options_for_a_source_that_is_not_chosen(tmp_path):
    with pytest.raises(UserError, match=r"data\.sources\.phantom\.seed set, but the data set phantom is not chosen"):
        list_cases({"set": Folder(tmp_path, CODES), "phantom": {"seed": 1}})


def test_patient_aliases_do_not_contain_the_patient(tmp_path):
    patients = {"s/b": "s/Doe", "s/a": "s/Doe", "s/c": "s/Roe"}
    cases = [Case(name, patient, tmp_path, None) for name, patient in patients.items()]
    assert patient_aliases(cases) == {"s/a": "s/a", "s/b": "s/a"}
    assert patient_aliases([]) == {}


def spoiled(tmp_path):
    touch(tmp_path, *(f"images/{name}.nii" for name in "abc"), *(f"labels/{name}.nii" for name in "bcd"))
    return {"set": Folder(tmp_path, CODES), "gone": Folder(tmp_path / "nowhere", CODES)}


def test_list_usable_cases_returns_the_refused_cases_separately(tmp_path):
    cases, refused = list_usable_cases(spoiled(tmp_path))
    assert [case.id for case in cases] == ["set/b", "set/c"]
    assert [name for name, _ in refused] == ["set/a", "set/d", "gone"]
    assert "image a.nii in" in str(refused[0][1])
    assert "has no label; add the label or remove the image" in str(refused[0][1])


def test_list_cases_refuses_unusable_cases_unless_they_are_excluded(tmp_path):
    sources = {"set": spoiled(tmp_path)["set"]}
    with pytest.raises(UserError, match=r"(?s)^2 cases cannot be used; segment doctor lists all:.*a\.nii.*d\.nii"):
        list_cases(sources)
    with pytest.raises(UserError, match=r"data\.exclude names 'a', but there is no such case; the first is 'set/b'"):
        list_cases(sources, ["a"])
    with pytest.raises(UserError, match=r"^the label d\.nii in .* has no image"):
        list_cases(sources, ["set/a"])
    assert [case.id for case in list_cases(sources, ["set/a", "set/d"])] == ["set/b", "set/c"]
