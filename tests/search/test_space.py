import math

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segment.errors import UserError
from segment.search.space import configurations, count, examples, override, read_space, values


def test_nested_and_dotted_keys_and_types_of_ranges_are_read():
    space = read_space(
        {
            "model": {"optimizer": {"lr": {"low": 1e-4, "high": 1e-2, "log": True}}, "net.base_channels": [8, 16]},
            "data.batch_size": {"low": 1, "high": 4},
            "data.foreground_share": {"low": 0, "high": 1, "step": 0.25},
            "data.patch_size": [[32, 32, 32], [64, 64, 64]],
        }
    )
    assert space == {
        "model.optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
        "model.net.base_channels": CategoricalDistribution([8, 16]),
        "data.batch_size": IntDistribution(1, 4),
        "data.foreground_share": FloatDistribution(0, 1, step=0.25),
        "data.patch_size": CategoricalDistribution(["[32, 32, 32]", "[64, 64, 64]"]),
    }


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({}, "space is empty"),
        ({"a": 3}, r"space.a must be a list of choices, or low and high, got 3"),
        ({"a": []}, r"space.a must be a list of words, numbers or lists of them, got \[\]"),
        ({"a": [{"b": 1}]}, "space.a must be a list of words"),
        ({"a": {"low": 1}}, "space.a needs numbers for low and high"),
        ({"a": {"low": 1, "high": True}}, "space.a needs numbers for low and high"),
        ({"a": {"low": 1, "high": 2, "base": 10}}, "space.a has base, which is none of low, high, log and step"),
        ({"a": {"b": {"low": 3.0, "high": 2}}}, r"space.a.b is not a valid range: `low <= high` must hold"),
        ({"a": {"low": 1.0, "high": 2, "log": "maybe"}}, "space.a.log must be true or false, got maybe"),
        ({"a": {"low": 0.0, "high": 2, "log": True}}, "space.a is not a valid range: `low > 0` must hold"),
        ({"a": {"low": 2, "high": 7, "step": 2}}, "space.a cannot go from low=2 to high=7 in steps of 2"),
    ],
)
def test_invalid_space_is_refused_with_its_key(node, message):
    with pytest.raises(UserError, match=message):
        read_space(node)


@pytest.mark.parametrize(
    ("value", "meant"),
    [(None, None), (True, True), (3, 3), (1e-05, 1e-05), ("[32, 64]", [32, 64]), ("vnet_large", "vnet_large")],
)
def test_hydra_parses_an_override_to_the_value(value, meant):
    (parsed,) = OverridesParser.create().parse_overrides([override("a.b", value)])
    assert (parsed.key_or_group, parsed.value()) == ("a.b", meant)


def test_configurations_are_counted_and_enumerated():
    steps = {"b": {"low": 2, "high": 6, "step": 2}, "c": {"low": 0, "high": 0.3, "step": 0.1}}
    space = read_space({"a": ["x", None], **steps})
    assert values(space["b"]) == [2, 4, 6]
    assert values(space["c"]) == pytest.approx([0, 0.1, 0.2, 0.3])
    listed = [tuple(each.values()) for each in configurations(space)]
    assert count(space) == len(listed) == len(set(listed)) == 2 * 3 * 4
    assert count(read_space({"a": [1], "b": {"low": 0.0, "high": 1}})) == math.inf
    assert count(read_space({"a": [1, 2], "b": {"low": 1.0, "high": 1.0}})) == 2


def test_examples_contain_every_choice():
    space = read_space({"a": [1, 2, 3], "b": {"low": 0.5, "high": 1}, "c": ["x", "y"]})
    found = list(examples(space))
    assert {each["a"] for each in found} == {1, 2, 3}
    assert {each["c"] for each in found} == {"x", "y"}
    assert {each["b"] for each in found} == {0.5}
    assert len(found) == 4
