import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from segment.positional import as_override


def runs(arguments):
    """What Hydra reads out of the override."""
    *rest, last = as_override("runs", arguments)
    (override,) = OverridesParser.create().parse_overrides([last])
    return rest, [str(item) for item in override.value()]


def test_words_without_a_key_become_a_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rest, found = runs(
        ["a", "alpha=0.1", "outputs/x/*", "model/net=unet", "+new=1", "~old=2", "--cfg", "job", "wandb:e/p/i"]
    )
    assert found == ["a", "outputs/x/*", "wandb:e/p/i"]
    assert rest == ["alpha=0.1", "model/net=unet", "+new=1", "~old=2", "--cfg", "job"]


def test_names_with_an_equals_sign_are_words_where_they_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lr=0.1,seed=0").mkdir(parents=True)
    assert runs(["runs/lr=0.1,seed=0", "runs/lr=*"]) == ([], ["runs/lr=0.1,seed=0", "runs/lr=*"])
    assert as_override("runs", ["runs/lr=0.2"]) == ["runs/lr=0.2"]


def test_without_words_nothing_changes():
    assert as_override("runs", ["runs=[a]", "alpha=0.1"]) == ["runs=[a]", "alpha=0.1"]


@given(st.text(st.characters(codec="utf-8", exclude_characters="=$\n\r\x00", exclude_categories=["Cc"]), min_size=1))
def test_hydra_reads_every_name_as_it_was(name):
    name = "x" + name
    assert runs([name]) == ([], [name])


@pytest.mark.parametrize("name", ['a"b', "a\\", 'a\\"b', "a b", "a,b", "[a]", "{a}", "a:b", "ä", "a'b"])
def test_hydra_reads_odd_names_as_they_were(name):
    assert runs([name]) == ([], [name])
