import pytest

from segment.configuration.roles import is_free
from segment.errors import UserError
from segment.run.recipe import flatten_with_lists, read_config, recipe, shared_config

COMMON = {"seed": 0, "split": {"fold": 0, "path": "a"}, "model": {"width": 8}, "output_dir": "x"}


def test_recipe_has_the_seed_and_the_keys_that_affect_results():
    config = {**COMMON, "model": {"seed": 0, "nets": [{"width": 8}]}}
    assert recipe(config) == {"seed": 0, "split.fold": 0, "split.path": "a", "model.nets[0].width": 8}


def test_folds_share_all_other_keys():
    other = {"seed": 1, "split": {"fold": 1, "path": "b"}, "model": {"width": 8}, "output_dir": "y"}
    assert shared_config({"0": flatten_with_lists(COMMON), "1": flatten_with_lists(other)}) == {"model.width": 8}


def test_evaluations_of_the_folds_checkpoints_have_one_recipe():
    evaluations = {name: {"ckpt": name, "ckpt_sha256": name, "data_sha256": name, "device": "cpu"} for name in "ab"}
    assert shared_config(evaluations) == {"device": "cpu"}


def test_other_recipe_among_the_folds_is_refused_with_its_outermost_key():
    wide = {**COMMON, "split": {"fold": 1}, "data": {"net": {"width": 16}}, "model": {"width": 16}}
    with pytest.raises(UserError, match=r"^0 and 2 have different recipes, .*: model\.width is 8 .* and 16 in the"):
        shared_config({"0": flatten_with_lists(COMMON), "1": flatten_with_lists(COMMON), "2": flatten_with_lists(wide)})


def test_extra_key_makes_another_recipe():
    with pytest.raises(UserError, match="compile is None in the first and True in the other"):
        shared_config({"0": {}, "1": {"compile": True}})


def test_dictionaries_within_lists_are_flattened():
    assert flatten_with_lists({"a": [{"p": 1}, {"q": [{"r": 2}]}], "b": [1, 2]}) == {
        "a[0].p": 1,
        "a[1].q[0].r": 2,
        "b": [1, 2],
    }


@pytest.mark.parametrize(("key", "free"), [("data.num_workers", True), ("logger.csv", True), ("split.seed", True)])
def test_keys_that_do_not_affect_results_are_free(key, free):
    assert is_free(key) is free
    assert not is_free("model.net.base_channels")


def test_damaged_configuration_is_reported_in_one_sentence(tmp_path):
    assert read_config(tmp_path) == {}
    (tmp_path / "config.yaml").write_text("a: [1\nb: }")
    with pytest.raises(UserError, match=r"^cannot read .*config\.yaml: .*; name a whole run folder$") as error:
        read_config(tmp_path)
    assert "\n" not in str(error.value)
