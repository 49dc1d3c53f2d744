import csv
import math
import os

import pytest

from segment.metrics.cases_csv import append_case, create_cases, print_scores, read_cases, sort_cases
from segment.metrics.scores import OrganScore

NAN = math.nan
FIRST = [OrganScore("liver", 0.9, 4.0, 0.95, 1500.0, 1400.5), OrganScore("spleen", 0.5, 20.0, 0.25, 200.0, 100.0)]
SECOND = [OrganScore("liver", 0.7, 10.0, 0.85, 1300.0, 1200.0), OrganScore("spleen", NAN, NAN, NAN, 0.0, 0.0)]


@pytest.fixture
def path(tmp_path):
    create_cases(tmp_path / "run" / "cases.csv")
    return tmp_path / "run" / "cases.csv"


def test_sort_cases_sorts_by_the_given_order(path):
    for case in ("b", "c", "a"):
        append_case(path, case, FIRST)
    before = path.read_text().splitlines()
    sort_cases(path, ["a", "x", "b", "c"])
    assert path.read_text().splitlines() == [before[0], *before[5:7], *before[1:5]]


def test_read_cases_returns_what_was_written(path):
    append_case(path, "set/one", FIRST)
    append_case(path, 'set/two, the "late"', SECOND)
    rows = read_cases(path)
    assert [case for case, _ in rows] == ["set/one", "set/one", 'set/two, the "late"', 'set/two, the "late"']
    assert [score for _, score in rows][:3] == [*FIRST, SECOND[0]]
    assert str(rows[3][1]) == str(SECOND[1])  # NaN does not equal itself
    with path.open(newline="") as file:
        assert next(csv.reader(file)) == [
            "case",
            "organ",
            "dice",
            "hd95_mm",
            "nsd",
            "volume_ml_reference",
            "volume_ml_pred",
        ]


def test_create_cases_replaces_an_older_table(path):
    append_case(path, "set/one", FIRST)
    create_cases(path)
    assert read_cases(path) == []


def test_processes_can_share_a_table(path):
    """The rows of a case stay together."""
    children = []
    for number in range(4):
        if (child := os.fork()) == 0:
            for index in range(20):
                append_case(path, f"set/{number}-{index}", FIRST * 150)
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    cases = [case for case, _ in read_cases(path)]
    assert len(cases) == 4 * 20 * 300
    assert all(len(set(cases[start : start + 300])) == 1 for start in range(0, len(cases), 300))


def printed(path, capsys):
    print_scores(path)
    return [line.split() for line in capsys.readouterr().out.replace("│", " ").replace("┃", " ").splitlines()]


def test_printed_means_leave_out_nan(path, capsys):
    append_case(path, "set/two", SECOND)
    append_case(path, "set/one", FIRST)
    lines = printed(path, capsys)
    assert lines[0] == ["2", "test", "cases,", "means", "over", "patients"]
    assert ["organ", "dice", "hd95", "mm", "nsd", "reference", "mL", "predicted", "mL", "lowest", "dice"] in lines
    assert ["liver", "0.800", "7.0", "0.900", "1400", "1300", "0.700"] in lines
    assert ["spleen", "0.500", "20.0", "0.250", "100", "50", "0.500"] in lines
    assert ["mean", "0.650"] in lines


def test_the_summary_of_one_case_without_an_organ(path, capsys):
    append_case(path, "set/two", SECOND[1:])
    lines = printed(path, capsys)
    assert lines[0] == ["1", "test", "case"]
    assert ["spleen", "nan", "nan", "nan", "0", "0", "nan"] in lines
    assert ["mean", "nan"] in lines


def test_nothing_is_printed_without_cases(path, capsys):
    print_scores(path)
    print_scores(path.with_name("no.csv"))
    assert capsys.readouterr().out == ""
