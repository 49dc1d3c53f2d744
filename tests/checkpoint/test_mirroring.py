import pytest

from segment.checkpoint.mirroring import saw_mirrored, stated_pairs
from segment.run.recipe import recipe

FLIP = {
    "_target_": "segment.data.augment.RandomLeftRightFlip",
    "pairs": [["ren_a", "ren_b"]],
    "single": ["hígado"],
}


def checkpoint(transforms):
    """Metadata of a checkpoint, as training writes them."""
    return {"trained": recipe({"augment": {"_target_": "torchio.Compose", "transforms": transforms}})}


def test_pairs_of_a_training_are_read_from_its_recipe():
    expected = {"ren_a": "ren_b", "ren_b": "ren_a", "hígado": "hígado"}
    for transforms in ({"mirror": FLIP}, [{"_target_": "torchio.RandomNoise"}, FLIP]):
        assert stated_pairs([checkpoint(transforms)]) == expected
        assert saw_mirrored(checkpoint(transforms))


@pytest.mark.parametrize(("p", "expected"), [(0, False), (0.0, False), (0.3, True)])
def test_mirroring_that_is_switched_off_was_not_seen(p, expected):
    assert saw_mirrored(checkpoint({"mirror": FLIP | {"p": p}})) is expected


def test_without_mirroring_nothing_is_stated():
    others = [{}, checkpoint({"noise": {"_target_": "torchio.RandomNoise", "pairs": [["a", "b"]]}})]
    assert stated_pairs(others) == {}
    assert not any(map(saw_mirrored, others))
