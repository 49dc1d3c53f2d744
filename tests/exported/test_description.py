import json

import pytest

from segment.errors import UserError
from segment.exported.description import Description, from_json

GOOD = Description(
    organs=["liver", "left kidney (all)", "右腎"],
    preprocess=[{"name": "resample", "spacing_mm": [3.0, 3.0, 3.0]}, {"name": "standardize", "mean": 0.4, "std": 0.3}],
    patch_size=[8, 8, 8],
    overlap=[2, 0, 2],
    postprocess={
        "name": "clean_up",
        "steps": [{"name": "fragments", "kind": "RemoveFragments", "arguments": {"min_share": 0.3}}],
        "left_out": {},
    },
    tolerance_mm={"liver": 5.0, "left kidney (all)": 3},
    source={"segment": "1"},
    agreement={"liver": 1.0, "left kidney (all)": None},
)


def test_a_description_is_read_as_it_was_written():
    assert from_json(GOOD.to_json()) == GOOD


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("organs", []),
        ("organs", ["../../etc/passwd"]),
        ("organs", [".hidden"]),
        ("organs", ["a\nb"]),
        ("organs", ["liver", "liver"]),
        ("organs", "liver"),
        ("organs", [f"organ{n}" for n in range(256)]),
        ("preprocess", [{"name": "window_hu", "low": "0", "high": 1}]),
        ("preprocess", [{"name": "resample", "spacing_mm": [1, 1]}]),
        ("preprocess", [{"name": ["eval"]}]),
        ("preprocess", [{"name": "z_normalize"}] * 21),
        ("patch_size", [8, 8]),
        ("patch_size", [8, 8, 0]),
        ("patch_size", [8, 8, 10**9]),
        ("patch_size", [8, 8, True]),
        ("overlap", [2, 2, -1]),
        ("postprocess", "clean_up"),
        ("postprocess", {"name": "clean_up", "steps": [{"name": "a", "kind": "b"}], "left_out": {}}),
        ("postprocess", {"name": "other", "steps": [], "left_out": {}}),
        ("postprocess", {"name": "clean_up", "steps": [], "left_out": {"holes": ["../x"]}}),
        ("postprocess", {"name": "clean_up", "steps": [], "left_out": {"a": [[[[1]]]]}}),
        ("tolerance_mm", {"liver": "5"}),
        ("source", {"segment": 1}),
        ("agreement", [1.0]),
    ],
)
def test_invalid_values_are_refused_by_name(field, value):
    content = json.loads(GOOD.to_json()) | {field: value}
    with pytest.raises(UserError, match=f"its metadata has an invalid {field}: "):
        from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its metadata is not JSON"),
        ("[" * 100_000, "its metadata is not JSON"),
        (GOOD.to_json().replace("0.4", "NaN"), "its metadata is not JSON"),
        ("[]", "it was not written by `segment export`"),
        ('{"format": "other"}', "it was not written by `segment export`"),
        (GOOD.to_json().replace('"version": 1', '"version": 2'), "it has version 2 of the format, and this version of"),
        (GOOD.to_json().replace('"RAS"', '"LPS"'), "export again"),
        (GOOD.to_json().replace('"source"', '"_target_"'), "lacks, or should not have, _target_, source; export again"),
        (" " * 1_000_001, "its metadata has 1000001 characters, more than 1000000"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        from_json(text)
