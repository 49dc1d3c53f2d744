import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from segment.configuration.arguments import as_override, taken_apart
from segment.errors import UserError


def runs(names):
    """What Hydra reads out of the override."""
    (override,) = OverridesParser.create().parse_overrides([as_override("runs", names)])
    return [str(item) for item in override.value()]


def test_words_without_a_key_stand_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = ["a", "alpha=0.1", "outputs/x/*", "model/net=unet", "+new=1", "~old=2", "--cfg", "job", "wandb:e/p/i"]
    found = taken_apart(line, paths=True)
    assert found.words == ("a", "outputs/x/*", "wandb:e/p/i")
    assert found.overrides == ("alpha=0.1", "model/net=unet", "+new=1", "~old=2")
    assert found.options == ("--cfg", "job")


def test_names_with_an_equals_sign_are_words_where_they_are_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lr=0.1,seed=0").mkdir(parents=True)
    assert taken_apart(["runs/lr=0.1,seed=0", "runs/lr=*"], paths=True).words == ("runs/lr=0.1,seed=0", "runs/lr=*")
    assert taken_apart(["runs/lr=0.2"], paths=True).overrides == ("runs/lr=0.2",)
    assert taken_apart(["runs/lr=*"]).overrides == ("runs/lr=*",)


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
def test_options_of_hydra_may_stand_anywhere(line, options, overrides):
    found = taken_apart(line)
    assert (found.options, found.overrides) == (options, overrides)
    assert found.words == found.others == ()


def test_options_that_hydra_does_not_have_are_kept_apart():
    found = taken_apart(["--epochs", "5", "a=1", "--lr=3", "--fast", "--gpu", "b=1"])
    assert found.others == (("--epochs", "5"), ("--lr", "3"), ("--fast", None), ("--gpu", None))
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
def test_an_option_without_its_value_is_refused(line, message):
    with pytest.raises(UserError) as error:
        taken_apart(line)
    assert str(error.value).startswith(message)


def test_the_value_of_an_option_is_found_by_its_long_name():
    found = taken_apart(["-cd", "mine", "a=1"])
    assert (found.of("--config-dir"), found.of("--cfg")) == ("mine", None)
    assert found.has("-cd", "--config-dir")


@given(st.text(st.characters(codec="utf-8", exclude_characters="=$\n\r\x00", exclude_categories=["Cc"]), min_size=1))
def test_hydra_reads_every_name_as_it_was(name):
    name = "x" + name
    assert runs([name]) == [name]


@pytest.mark.parametrize("name", ['a"b', "a\\", 'a\\"b', "a b", "a,b", "[a]", "{a}", "a:b", "ä", "a'b"])
def test_hydra_reads_odd_names_as_they_were(name):
    assert runs([name]) == [name]
