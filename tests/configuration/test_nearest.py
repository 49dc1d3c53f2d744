import pytest

from segment.configuration.nearest import nearest_key, nearest_word

KEYS = [
    *("seed", "data.seed", "data.batch_size", "data.patch_size", "trainer.max_epochs", "trainer.min_epochs"),
    *("optimizer.lr", "model.net.base_channels", "callbacks.default.lr_monitor"),
]


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("max_epochs", "trainer.max_epochs"),
        ("Max_Epochs", "trainer.max_epochs"),
        ("optimizer.lr", "optimizer.lr"),
        ("lr", "optimizer.lr"),
        ("seed", "seed"),  # the shortest key with this ending
        ("sed", "seed"),
        ("trainer.max_epoch", "trainer.max_epochs"),
        ("trainer.batch_size", "data.batch_size"),
        ("batchsize", "data.batch_size"),
        ("model.net.base_chanels", "model.net.base_channels"),
        ("qwerty", None),
        ("trainer.qwerty", None),
    ],
)
def test_nearest_key(key, near):
    assert nearest_key(key, KEYS) == near


def test_nearest_word_ignores_case():
    assert nearest_word("Spleen", ["liver", "spleen"]) == "spleen"
    assert nearest_word("pancreas", ["liver", "spleen"]) is None
    assert nearest_word("x", []) is None
