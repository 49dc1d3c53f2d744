import pytest

from segment.doctor.finding import Finding
from segment.doctor.shared import merge_shared

CASES = [f"set/{number}" for number in range(50)]


def findings(count, severity="note", check="cut", what="liver is cut", numbers=False):
    return [
        Finding(name, check, severity, f"{what} at {number}.5 mL" if numbers else what, "look", "liver")
        for number, name in enumerate(CASES[:count])
    ]


def test_fifty_equal_findings_are_merged():
    (one,) = merge_shared(findings(50, "error", "mirrored"), CASES)
    assert (one.severity, one.case) == ("error", ", ".join(CASES))
    assert one.what == "liver is cut (in 50 of 50 cases)"


def test_findings_that_differ_in_numbers_are_merged():
    (one,) = merge_shared(findings(40, numbers=True), CASES)
    assert one.what == "liver is cut at 0.5 mL (in 40 of 50 cases; the numbers are from set/0)"


@pytest.mark.parametrize(("count", "severity"), [(25, "note"), (26, "warning")])
def test_a_note_shared_by_more_than_half_becomes_a_warning(count, severity):
    assert {f.severity for f in merge_shared(findings(count), CASES)} == {severity}


def test_notes_of_a_few_cases_are_not_merged():
    assert merge_shared(findings(3), CASES[:3]) == findings(3)


@pytest.mark.parametrize(("count", "of", "severity"), [(1, 1, "error"), (1, 2, "warning"), (2, 3, "error")])
def test_misplaced_organs_in_most_cases_become_errors(count, of, severity):
    found = merge_shared(findings(count, "warning", "position"), CASES[:of])
    assert [f.severity for f in found] == [severity] * count


def test_names_of_cases_may_have_commas():
    names = [f"set/Doe, {number}" for number in range(50)]
    (one,) = merge_shared([Finding(name, "cut", "note", "liver is cut", "look", "liver") for name in names], names)
    assert one.cases == names


def test_findings_that_differ_in_file_names_are_merged():
    found = [
        Finding(name, "label codes", "error", f"/data/labels{name[3:]}.nii.gz holds 5", "name it") for name in CASES
    ]
    (one,) = merge_shared(found, CASES)
    assert one.what.startswith("/data/labels/0.nii.gz holds 5 (in 50 of 50 cases")


def test_sources_are_counted_separately():
    others = [f"other/{number}" for number in range(100)]
    (one,) = merge_shared(findings(50), [*CASES, *others])
    assert one.severity == "warning"


def test_findings_about_sources_and_several_cases_are_not_merged():
    of_set = [Finding("set", "nothing checked", "warning", "none", "name them")]
    pair = [Finding("set/0, set/1", "duplicate", "error", "one CT", "remove one")]
    assert merge_shared([*of_set, *pair], CASES[:2]) == [*of_set, *pair]
