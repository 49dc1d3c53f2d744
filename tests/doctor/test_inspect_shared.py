import pytest

from segment.doctor.finding import Finding
from segment.doctor.shared import shared

CASES = [f"set/{number}" for number in range(50)]


def findings(count, severity="note", check="cut", what="liver is cut", numbers=False):
    return [
        Finding(name, check, severity, f"{what} at {number}.5 mL" if numbers else what, "look", "liver")
        for number, name in enumerate(CASES[:count])
    ]


def test_fifty_equal_findings_are_one():
    (one,) = shared(findings(50, "error", "mirrored"), CASES)
    assert (one.severity, one.case) == ("error", ", ".join(CASES))
    assert one.what == "liver is cut (so in 50 of 50 cases)"


def test_numbers_make_no_difference():
    (one,) = shared(findings(40, numbers=True), CASES)
    assert one.what == "liver is cut at 0.5 mL (so in 40 of 50 cases; the numbers are of set/0)"


@pytest.mark.parametrize(("count", "severity"), [(25, "note"), (26, "warning")])
def test_a_note_that_more_than_half_share_is_a_warning(count, severity):
    assert {f.severity for f in shared(findings(count), CASES)} == {severity}


def test_few_cases_keep_their_notes():
    assert shared(findings(3), CASES[:3]) == findings(3)


@pytest.mark.parametrize(("count", "of", "severity"), [(1, 1, "error"), (1, 2, "warning"), (2, 3, "error")])
def test_organs_elsewhere_in_most_cases_are_errors(count, of, severity):
    found = shared(findings(count, "warning", "place"), CASES[:of])
    assert [f.severity for f in found] == [severity] * count


def test_files_of_the_cases_make_no_difference():
    found = [
        Finding(name, "label codes", "error", f"/data/labels{name[3:]}.nii.gz holds 5", "name it") for name in CASES
    ]
    (one,) = shared(found, CASES)
    assert one.what.startswith("/data/labels/0.nii.gz holds 5 (so in 50 of 50 cases")


def test_sources_are_counted_apart():
    others = [f"other/{number}" for number in range(100)]
    (one,) = shared(findings(50), [*CASES, *others])
    assert one.severity == "warning"


def test_findings_of_sets_stay():
    of_set = [Finding("set", "nothing judged", "warning", "none", "name them")]
    pair = [Finding("set/0, set/1", "duplicate", "error", "one CT", "remove one")]
    assert shared([*of_set, *pair], CASES[:2]) == [*of_set, *pair]
