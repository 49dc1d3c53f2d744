import pytest

from segment.datasets.sources.names import rename_codes, rename_structures
from segment.errors import UserError


def test_undeclared_names_are_only_normalised():
    assert rename_structures(["Right Kidney", "kidney-left", "rkidney"], {}, "x") == {
        "Right Kidney": "right_kidney",
        "kidney-left": "kidney_left",
        "rkidney": "rkidney",
    }


def test_declared_names_match_in_every_spelling():
    names = {"right kidney": "Right-Kidney", "Tumour": None}
    assert rename_structures(["Right_Kidney", "tumour"], names, "x") == {"Right_Kidney": "right_kidney", "tumour": None}


def test_an_unknown_declared_name():
    with pytest.raises(UserError, match=r"names declares 'lever', which d\.json does not have: it has liver, spleen"):
        rename_structures(["liver", "spleen"], {"lever": "liver"}, "d.json")


def test_two_spellings_of_one_name():
    with pytest.raises(UserError, match=r"d\.json names 'left_kidney' more than once, in spellings that are treated"):
        rename_structures(["left kidney", "Left_Kidney"], {}, "d.json")


@pytest.mark.parametrize(
    ("theirs", "names", "expected"),
    [
        ({"liver": [1], "cancer": [2]}, {"cancer": "liver"}, {"liver": [1, 2]}),
        ({"liver": 1, "cancer": 2}, {"cancer": None}, {"liver": [1], "other": [2]}),
        # Regions: a code that also belongs to a region that stays is not "other".
        ({"kidney": [1, 2, 3], "masses": [2, 3], "tumor": 2}, {"masses": None, "tumor": None}, {"kidney": [1, 2, 3]}),
        ({"kidney": [1, 2, 3], "masses": [2, 3]}, {"kidney": None}, {"masses": [2, 3], "other": [1]}),
        ({"kidney": [1, 2], "tumor": 2}, {"tumor": "kidney"}, {"kidney": [1, 2]}),
        ({"other": 4, "x": 5}, {"x": None}, {"other": [4, 5]}),
    ],
)
def test_codes_by_the_names_to_use(theirs, names, expected):
    assert rename_codes(theirs, names, "x") == expected


def test_regions_that_share_a_code_cannot_both_stay():
    with pytest.raises(UserError, match=r"the code 2 to the regions kidney and tumor; .*names=\{tumor: null\}"):
        rename_codes({"kidney": [1, 2], "tumor": 2}, {}, "d.json")
