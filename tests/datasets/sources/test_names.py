import pytest

from segment.datasets.sources.names import our_codes, our_names
from segment.errors import UserError


def test_names_are_only_written_plainly():
    assert our_names(["Right Kidney", "kidney-left", "rkidney"], {}, "x") == {
        "Right Kidney": "right_kidney",
        "kidney-left": "kidney_left",
        "rkidney": "rkidney",
    }


def test_declared_names_are_ours_in_whatever_spelling_they_are_declared():
    names = {"right kidney": "Right-Kidney", "Tumour": None}
    assert our_names(["Right_Kidney", "tumour"], names, "x") == {"Right_Kidney": "right_kidney", "tumour": None}


def test_a_declared_name_that_is_not_there():
    with pytest.raises(UserError, match=r"names declares 'lever', which d\.json does not have: it has liver, spleen"):
        our_names(["liver", "spleen"], {"lever": "liver"}, "d.json")


def test_two_spellings_of_one_name():
    with pytest.raises(UserError, match=r"d\.json names 'left_kidney' more than once, in spellings that mean the same"):
        our_names(["left kidney", "Left_Kidney"], {}, "d.json")


@pytest.mark.parametrize(
    ("theirs", "names", "expected"),
    [
        ({"liver": [1], "cancer": [2]}, {"cancer": "liver"}, {"liver": [1, 2]}),
        ({"liver": 1, "cancer": 2}, {"cancer": None}, {"liver": [1], "other": [2]}),
        # Regions: what is left of a code that stays with another region is not "other".
        ({"kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}, {"masses": None, "tumor": None}, {"kidney": [1, 2, 3]}),
        ({"kidney": [1, 2, 3], "masses": [2, 3]}, {"kidney": None}, {"masses": [2, 3], "other": [1]}),
        ({"kidney": [1, 2], "tumor": 2}, {"tumor": "kidney"}, {"kidney": [1, 2]}),
        ({"other": 4, "x": 5}, {"x": None}, {"other": [4, 5]}),
    ],
)
def test_codes_by_our_names(theirs, names, expected):
    assert our_codes(theirs, names, "x") == expected


def test_regions_that_share_a_code_cannot_both_stay():
    with pytest.raises(UserError, match=r"the code 2 to the regions kidney and tumor; .*names=\{tumor: null\}"):
        our_codes({"kidney": [1, 2], "tumor": 2}, {}, "d.json")
