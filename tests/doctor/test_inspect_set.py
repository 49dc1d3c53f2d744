from pathlib import Path

from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, by_case, worst
from segment.doctor.set import check_left_out, check_set
from segment.io.left_out import LeftOut


def case(name, patient=None):
    return Case(f"set/{name}", f"set/{patient or name}", Path("x"), LabelFile(Path("y"), {"liver": 1}))


def structures_of(cases):
    return {c.id: c.label.structures for c in cases}


def found(cases, hashes=None, part_of=None, shown=None):
    every = hashes or {c.id: c.id for c in cases}
    found = check_set(cases, structures_of(cases), ["liver"], every, part_of or {}, shown or {}, {})
    return [(f.severity, f.check, f.case) for f in found]


def test_different_cases_have_no_findings():
    assert found([case("phantom_0001"), case("phantom_0010"), case("a1"), case("b1")]) == []


def test_the_same_ct_of_two_patients_is_an_error_and_of_one_a_warning():
    hashes = {"set/a": "1", "set/b": "1", "set/c": "2"}
    assert found([case("a"), case("b"), case("c")], hashes) == [("error", "duplicate", "set/a, set/b")]
    assert found([case("a", "p"), case("b", "p"), case("c")], hashes) == [("warning", "duplicate", "set/a, set/b")]


def test_unreadable_cts_are_not_duplicates():
    assert found([case("a"), case("b")], {"set/a": "", "set/b": ""}) == []


def test_the_same_ct_in_two_parts_is_an_error_that_names_them():
    cases = [case("a", "p"), case("b", "p")]
    part_of = {"set/a": "train", "set/b": "test"}
    findings = check_set(cases, structures_of(cases), ["liver"], {"set/a": "1", "set/b": "1"}, part_of, {}, {})
    assert [(f.severity, f.check) for f in findings] == [("error", "duplicate")]
    assert findings[0].what == "these contain the same CT, in test and train"


def test_names_that_differ_in_spelling_only_are_a_warning():
    assert found([case("Case_01"), case("case-1"), case("case_11")]) == [
        ("warning", "similar names", "set/Case_01, set/case-1")
    ]
    assert found([case("ct7"), case("ct7 copy")]) == [("warning", "similar names", "set/ct7, set/ct7 copy")]
    assert found([case("ct_1", "p"), case("ct_01", "p")]) == []


def test_letters_of_every_script_distinguish_names():
    assert found([case("Ä1"), case("1"), case("Ö1"), case("肝1"), case("Ж 1")]) == []
    assert found([case("ä_01"), case("A\u0308-1")]) == [("warning", "similar names", "set/ä_01, set/A\u0308-1")]


def test_an_organ_that_is_always_absent_is_an_error():
    cases = [case("a"), case("b"), case("c")]
    assert found(cases, shown={"set/a": set(), "set/b": {"spleen"}}) == [("error", "always absent", "set")]
    assert found(cases, shown={"set/a": set(), "set/b": set(), "set/c": {"liver"}}) == []
    assert found(cases, shown={"set/a": set()}) == []


def test_a_label_that_cannot_be_read_does_not_hide_an_organ_that_is_always_absent():
    shown = {"set/a": set(), "set/b": set(), "set/c": None}
    assert found([case("a"), case("b"), case("c")], shown=shown) == [("error", "always absent", "set")]


def test_a_source_without_checked_structures_is_a_warning():
    findings = check_set([case("a")], {"set/a": ["liver"]}, ["spleen"], {"set/a": "1"}, {}, {}, {})
    assert [(f.severity, f.check, f.case) for f in findings] == [("warning", "nothing checked", "set")]
    assert findings[0].what == "anatomy.volume_ml does not name liver: no label was checked"


def test_the_worst_finding_counts():
    findings = [Finding("a", "x", severity, "", "") for severity in ("note", "error", "warning")]
    assert worst(findings) == "error"
    assert worst(findings[::2]) == "warning"
    assert worst([]) is None


def test_findings_are_grouped_by_case_in_one_pass():
    class Counted(Finding):
        passes = 0

        @property
        def cases(self):
            Counted.passes += 1
            return super().cases

    names = ["set/a", "set/b", "set/a, set/b", "set"]
    findings = [Counted(name, "x", "note", str(n), "") for n, name in enumerate(names)]
    grouped = by_case(findings)
    assert {name: [f.what for f in own] for name, own in grouped.items()} == {
        "set/a": ["0", "2"],
        "set/b": ["1", "2"],
        "set": ["3"],
    }
    assert Counted.passes == len(findings)


def test_names_of_cases_may_have_commas():
    grouped = by_case([Finding("set/Doe, Jane, set/Roe, Jim", "x", "note", "", "")])
    assert list(grouped) == ["set/Doe, Jane", "set/Roe, Jim"]


def test_files_that_belong_to_no_case_are_reported():
    left_out = {"set": [LeftOut("images/b.mhd", "two files; convert it"), LeftOut("notes.txt", "no volume", True)]}
    assert [(f.case, f.severity, f.what, f.remedy) for f in check_left_out(left_out)] == [
        ("set", "error", "1 left out (images/b.mhd): two files", "convert it"),
        ("set", "note", "1 left out (notes.txt): no volume", "none, if these files are not meant to be cases"),
    ]
