import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from segment.configuration.arguments import as_override, parse_arguments, quoted
from segment.errors import UserError


def read_by_hydra(names):
    """The list that Hydra parses from the override."""
    (override,) = OverridesParser.create().parse_overrides([as_override("runs", names)])
    return [str(item) for item in override.value()]


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_any_text_can_be_quoted(text):
    (parsed,) = OverridesParser.create().parse_overrides([f"a={quoted(text)}"])
    assert parsed.value() == text


def test_words_without_a_key_are_positional(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = ["a", "alpha=0.1", "outputs/x/*", "model/net=unet", "+new=1", "~old=2", "--cfg", "job", "wandb:e/p/i"]
    found = parse_arguments(line, paths=True)
    assert found.positional == ("a", "outputs/x/*", "wandb:e/p/i")
    assert found.overrides == ("alpha=0.1", "model/net=unet", "+new=1", "~old=2")
    assert found.options == ("--cfg", "job")


def test_an_existing_path_with_an_equals_sign_is_positional(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lr=0.1,seed=0").mkdir(parents=True)
    existing = ("runs/lr=0.1,seed=0", "runs/lr=*")
    assert parse_arguments(existing, paths=True).positional == existing
    assert parse_arguments(["runs/lr=0.2"], paths=True).overrides == ("runs/lr=0.2",)
    assert parse_arguments(["runs/lr=*"]).overrides == ("runs/lr=*",)


@pytest.mark.parametrize(
    ("line", "options", "overrides"),
    [
        (["a=1", "-m", "b=2"], ("-m",), ("a=1", "b=2")),
        (["a=1", "--cfg", "job", "b=2"], ("--cfg", "job"), ("a=1", "b=2")),
        (["a=1", "--cfg=job"], ("--cfg", "job"), ("a=1",)),
        (["a=1", "-c", "job"], ("--cfg", "job"), ("a=1",)),
        (["a=1", "--config-dir=mine", "b=2"], ("--config-dir", "mine"), ("a=1", "b=2")),
        (["~a", "--multirun"], ("--multirun",), ("~a",)),
    ],
)
def test_hydra_options_and_overrides_come_in_any_order(line, options, overrides):
    found = parse_arguments(line)
    assert (found.options, found.overrides) == (options, overrides)
    assert found.positional == found.unknown == ()


def test_options_that_hydra_does_not_have_are_unknown():
    found = parse_arguments(["--epochs", "5", "a=1", "--lr=3", "--fast", "--gpu", "b=1"])
    assert found.unknown == (("--epochs", "5"), ("--lr", "3"), ("--fast", None), ("--gpu", None))
    assert found.overrides == ("a=1", "b=1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--cfg"], "--cfg needs a value: one of job, hydra, all"),
        (["--cfg", "a=1"], "--cfg needs a value"),
        (["--cfg", "jb"], "--cfg takes one of job, hydra, all, got jb; did you mean job?"),
        (["--config-dir"], "--config-dir needs a value"),
    ],
)
def test_an_option_without_a_valid_value_is_refused(line, message):
    with pytest.raises(UserError) as error:
        parse_arguments(line)
    assert str(error.value).startswith(message)


def test_option_values_are_stored_under_the_long_name():
    found = parse_arguments(["-cd", "mine", "a=1"])
    assert (found.value_of("--config-dir"), found.value_of("--cfg")) == ("mine", None)
    assert found.has("-cd", "--config-dir")


@given(st.text(st.characters(codec="utf-8", exclude_characters="=$\n\r\x00", exclude_categories=["Cc"]), min_size=1))
def test_as_override_keeps_every_name(name):
    name = "x" + name
    assert read_by_hydra([name]) == [name]


@pytest.mark.parametrize("name", ['a"b', "a\\", 'a\\"b', "a b", "a,b", "[a]", "{a}", "a:b", "ä", "a'b"])
def test_as_override_keeps_names_with_special_characters(name):
    assert read_by_hydra([name]) == [name]
