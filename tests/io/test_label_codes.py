import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment.errors import UserError
from segment.io.label_codes import LabelMap

CODES = {"heart": 1, "left_lung": [3, 4], "right_lung": [6], "bone": 9}


def test_codes_become_class_indices_in_the_order_of_the_organs():
    label = np.array([[[0, 1, 3, 4, 6, 9]]], dtype=np.int16)
    classes = LabelMap(CODES, ["right_lung", "left_lung"]).to_classes(label, source="x")
    assert classes.tolist() == [[[0, 0, 2, 2, 1, 0]]]
    assert classes.dtype == np.uint8


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", ">i2", "uint16", "int32", ">i4", "int64", "uint64"])
def test_every_integer_type_is_accepted(dtype):
    classes = LabelMap(CODES, ["bone"]).to_classes(np.full((2, 2, 2), 9, dtype=dtype), source="x")
    assert classes.tolist() == np.ones((2, 2, 2)).tolist()


def test_an_empty_label_map_is_background():
    assert not LabelMap(CODES, ["bone"]).to_classes(np.zeros((2, 2, 2), np.uint8), source="x").any()


@pytest.mark.parametrize(
    ("codes", "shown"), [([2], "2"), ([-1], "-1"), ([300, 2, 1, 0], "2, 300"), ([2**40], str(2**40))]
)
def test_an_error_about_undeclared_codes_lists_them_and_the_file(codes, shown):
    label = np.array([[codes]], dtype=np.int64)
    with pytest.raises(
        UserError, match=rf"case7\.nii\.gz holds codes that label_codes does not name: {shown}; name them there"
    ):
        LabelMap(CODES, ["bone"]).to_classes(label, source="case7.nii.gz")


def test_a_long_list_of_codes_is_shortened():
    with pytest.raises(UserError, match="10, 11, 12, 13, 14, 15, 16, 17, 18, 19 …;"):
        LabelMap(CODES, ["bone"]).to_classes(np.arange(10, 90).reshape(1, 1, -1), source="x")


def test_values_that_are_not_integers_are_refused():
    with pytest.raises(UserError, match="x holds float32 values; give a label map of integer codes"):
        LabelMap(CODES, ["bone"]).to_classes(np.zeros((1, 1, 1), np.float32), source="x")


@pytest.mark.parametrize(
    ("codes", "organs", "message"),
    [
        ({"a": 1, "b": 1}, ["a"], "code 1 is given to both a and b"),
        ({"a": [1, 2, 1]}, ["a"], "code 1 is given to both a and a"),
        ({"a": 0}, ["a"], "gives a the code 0; give whole numbers from 1"),
        ({"a": [2, -3]}, ["a"], r"gives a the code \[2, -3\]"),
        ({"a": 1, "b": -1}, ["a"], "gives b the code -1; give whole numbers from 0"),
        ({"a": []}, ["a"], r"gives a the code \[\]"),
        ({"a": 1.0}, ["a"], "gives a the code 1.0"),
        ({"a": True}, ["a"], "gives a the code True"),
        ({"a": "12"}, ["a"], "gives a the code '12'"),
        ({"a": 70000}, ["a"], "from 1 to 65535"),
        (CODES, ["bone", "heart", "bone"], "organs lists bone more than once; list every organ once"),
        ({f"o{i}": i for i in range(1, 257)}, [f"o{i}" for i in range(1, 257)], "256 organs are too many; at most 255"),
    ],
)
def test_an_invalid_map_is_refused_on_construction(codes, organs, message):
    with pytest.raises(UserError, match=message):
        LabelMap(codes, organs)


def test_the_background_may_be_named():
    assert LabelMap({"background": 0, "a": 1}, ["a"]).to_classes(np.array([[[0, 1]]]), source="x").tolist() == [
        [[0, 1]]
    ]


def test_255_organs_fit():
    organs = [f"o{i}" for i in range(1, 256)]
    label = np.arange(256).reshape(4, 8, 8)
    assert np.array_equal(
        LabelMap({o: i for i, o in enumerate(organs, 1)}, organs).to_classes(label, source="x"), label
    )


@given(st.data())
def test_classes_equal_a_lookup_voxel_by_voxel(data):
    codes = data.draw(st.dictionaries(st.text(min_size=1), st.integers(1, 65535), min_size=1, max_size=12))
    codes = {name: code for code, name in {code: name for name, code in codes.items()}.items()}
    organs = data.draw(st.permutations(list(codes)))[: data.draw(st.integers(1, len(codes)))]
    values = data.draw(st.lists(st.sampled_from([0, *codes.values()]), min_size=1, max_size=30))
    names = {code: name for name, code in codes.items()}
    expected = [organs.index(names[v]) + 1 if names.get(v) in organs else 0 for v in values]
    label = np.array(values, dtype=np.int32).reshape(1, 1, -1)
    assert LabelMap(codes, organs).to_classes(label, source="x").ravel().tolist() == expected
