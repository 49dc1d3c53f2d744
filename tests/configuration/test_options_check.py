"""Composed configurations are checked against the types of their options."""

import functools
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from segment.configuration.check import validate_config
from segment.configuration.composition import spellings
from segment.configuration.consistency import validation_scores
from segment.configuration.conversion import convert_types
from segment.configuration.keys import possible_keys, written_keys
from segment.configuration.schema import SCHEMAS
from segment.configuration.values import config_dir
from segment.errors import UserError

GIVEN = {
    "view": ["path=run"],
    "evaluate": ["ckpt=a"],
    "predict": ["ckpt=a", "input=b", "output=c"],
    "merge": ["runs=a"],
    "export": ["output=a.onnx"],
}


@pytest.fixture(autouse=True, scope="module")
def _hydra():
    with initialize_config_dir(config_dir(), version_base="1.3"):
        yield


def check(command, *overrides):
    overrides = [*GIVEN.get(command, ()), *overrides]
    return validate_config(command, compose(command, overrides), spellings(overrides))


@pytest.mark.parametrize("command", SCHEMAS)
def test_the_defaults_of_every_command_are_valid(command):
    check(command)


@pytest.mark.parametrize("experiment", [path.stem for path in Path(config_dir(), "experiment").glob("*.yaml")])
def test_every_experiment_is_valid(experiment):
    """Preparation takes it, too, so that training finds its volumes."""
    for command in ("train", "prepare"):
        check(command, f"experiment={experiment}")


def choices() -> list[str]:
    """`group=option` for every file of these groups."""
    groups = ("augment", "data", "logger", "model", "model/net", "model/criterion", "preprocess", "scheduler")
    return [f"{group}={path.stem}" for group in groups for path in Path(config_dir(), group).glob("*.yaml")]


@pytest.mark.parametrize("choice", choices())
def test_every_option_of_every_group_is_valid(choice):
    convert_types("train", compose("train", [choice]))


@pytest.mark.parametrize("word", ["no", "off", "false", "No", "OFF"])
def test_words_for_false_become_false_in_every_command(word):
    """Regression: `overwrite=no` overwrote a mask corrected by hand, because the text `no` counts as true."""
    assert check("predict", f"overwrite={word}", f"pictures={word}").overwrite is False
    assert check("evaluate", f"include_trained={word}").include_trained is False
    overlay, background = "callbacks.cases.overlay", "model.criterion.include_background"
    train = check("train", *(f"{key}={word}" for key in ("test", "resume", "preflight", overlay, background)))
    assert (train.test, train.resume, train.preflight, train.callbacks.cases.overlay) == (False,) * 4
    assert train.model.criterion.include_background is False
    assert check("doctor", f"strict={word}").strict is False
    assert check("prepare", f"accept_licence={word}").accept_licence is False


@functools.cache
def every_switch() -> list[tuple[str, str]]:
    """Every option that is true or false by default, as command and dotted key."""
    found = []
    with initialize_config_dir(config_dir(), version_base="1.3"):
        for command in SCHEMAS:
            node = OmegaConf.to_container(compose(command, GIVEN.get(command, [])), resolve=False)
            for key in written_keys(node):
                if isinstance(_value(node, key), bool) and not key.startswith("space."):
                    found.append((command, key))
    return found


def _value(node, key):
    for name in key.split("."):
        node = node[name]
    return node


@pytest.mark.parametrize("word", ["no", "on"])
@pytest.mark.parametrize("command", SCHEMAS)
def test_switches_take_words_for_true_and_false(command, word):
    keys = [key for of, key in every_switch() if of == command]
    cfg = check(command, *(f"{key}={word}" for key in keys))
    assert {key: OmegaConf.select(cfg, key) for key in keys} == dict.fromkeys(keys, word == "on")


TAKE_TEXT = ("resume", "trainer.deterministic")


@pytest.mark.parametrize(("command", "key"), [switch for switch in every_switch() if switch[1] not in TAKE_TEXT])
def test_a_switch_refuses_other_words(command, key):
    with pytest.raises(UserError, match=r"must be .*true or false.*, got maybe"):
        check(command, f"{key}=maybe")


@pytest.mark.parametrize(
    ("command", "override", "message"),
    [
        ("train", "optimizer.lr=fast", "optimizer.lr must be a number of at least 0, got fast"),
        ("train", "optimizer.lr=null", "optimizer.lr must be a number of at least 0, got null"),
        ("train", "data.batch_size=2.5", "data.batch_size must be a whole number of at least 1, got 2.5"),
        (
            "train",
            "data.patch_size=64",
            "data.patch_size must be a list of 3, each a whole number of at least 1",
        ),
        ("train", "seed=-1", "seed must be a whole number from 0 to 4294967295, got -1"),
        ("train", "spacing_mm=[3,3]", "spacing_mm must be a list of 3, each a number above 0, got"),
        ("train", "spacing_mm=[0,3,3]", "spacing_mm must be a list of 3, each a number above 0, got"),
        ("train", "preflight=maybe", "preflight must be true or false or only, got maybe"),
        ("train", "callbacks.progress=off", "callbacks.progress must be keys with values or null, got off"),
        ("train", "monitor=val/dice/pancreas", "monitor=val/dice/pancreas is not a validation score; "),
        (
            "train",
            "monitor=val/dice/mea",
            "monitor=val/dice/mea is not a validation score; did you mean",
        ),
        (
            "train",
            "monitor=val/loss",
            "monitor_mode=max would keep the worst epoch by monitor=val/loss; set",
        ),
        ("train", "monitor_mode=min", "monitor_mode=min would keep the worst epoch by monitor=val/dice/mean; set"),
        (
            "train",
            "callbacks.early_stopping.monitor=val/loss",
            "callbacks.early_stopping.mode=max would keep the worst epoch by callbacks.early_stopping.monitor=val/loss",
        ),
        (
            "train",
            "callbacks.early_stopping.monitor=train/loss",
            "callbacks.early_stopping.monitor=train/loss: early stopping looks at the scores after a validation",
        ),
        (
            "train",
            "callbacks.checkpoint.monitor=val/dice/mea",
            "callbacks.checkpoint.monitor=val/dice/mea is not a validation score; did you mean val/dice/mean?",
        ),
        ("train", "data.seed=-1", "data.seed must be a whole number from 0 to 4294967295, got -1"),
        ("train", "organs=[liver,Spleen]", "no chosen data set annotates an organ 'Spleen'; did you mean spleen?"),
        ("train", "organs=[liver,liver]", "organs names liver twice; name each organ once"),
        ("train", "organs=[]", "organs=[] is empty; name the organs"),
        (
            "train",
            "organs=[liver,femur]",
            "tolerance_mm has no value for femur; add it in mm",
        ),
        ("train", "+max_epochs=3", "there is no option max_epochs; did you mean trainer.max_epochs?"),
        ("train", "+trainer.max_epoch=3", "there is no option trainer.max_epoch; did you mean trainer.max_epochs?"),
        ("train", "+optimizer.lrr=3", "there is no option optimizer.lrr; did you mean optimizer.lr?"),
        ("train", "~seed", "seed is missing, but `segment train` needs it; do not remove it"),
        ("train", "task=${nothing}", "task: Interpolation key 'nothing' not found; correct the reference"),
        (
            "train",
            "data=folder",
            "no value for data.sources.folder.root; give it",
        ),
        ("train", "+data.sources.phantom.cases=3", "there is no option data.sources.phantom.cases; "),
        ("prepare", "cache=lst", "cache must be list or explain or prune or null, got lst"),
        ("prepare", "export=monai", "export must be nnunet or null, got monai"),
        ("compare", "alpha=1", "alpha must be a number between 0 and 1, got 1"),
        ("compare", "resamples=10", "resamples must be a whole number of at least 999, got 10"),
        ("compare", "metrics=[dcie]", "metrics must be a list, each item dice or hd95_mm or nsd, got [dcie]"),
        ("sweep", "trials=0", "trials must be a whole number of at least 1 or null, got 0"),
        ("sweep", "trial_hours=1h", "trial_hours must be a number above 0 or null, got 1h"),
        ("doctor", "num_workers=-1", "num_workers must be a whole number from 0 to 512, got -1"),
    ],
)
def test_a_wrong_value_is_refused_with_what_the_option_accepts(command, override, message):
    with pytest.raises(UserError) as error:
        check(command, override)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["experiment=seed", "spacing_mm=[2,2,2]"],
            "spacing_mm has no effect, because the chosen preprocessing does not",
        ),
        (
            ["+class_weights={liver:2}", "model.criterion.weight=null"],
            "class_weights has no effect, because the chosen loss does not use it; leave one of them out",
        ),
    ],
)
def test_a_shared_value_that_nothing_uses_is_refused(overrides, message):
    check("train", *overrides[:1])
    with pytest.raises(UserError, match=message):
        check("train", *overrides)


def test_a_message_names_the_key_where_the_value_is_written():
    with pytest.raises(UserError, match=r"^data\.patch_size must be"):
        check("train", "data.patch_size=[64,x,64]")


@pytest.mark.parametrize("override", ["output=1e3", "output='1e3'", 'output="1e3"'])
def test_text_keeps_the_spelling_of_the_command_line(override):
    assert check("predict", override).output == "1e3"
    assert check("predict", "trust=[1e3,007]").trust == ["1e3", "007"]


@pytest.mark.parametrize(
    "override",
    [
        "+tolerance_mm.pancreas=3",
        "data.sources.phantom.seed=3",
        "+class_weights={liver:2}",
        "+trainer.limit_train_batches=0.5",
        "callbacks.early_stopping=null",
        "callbacks.checkpoint.monitor=train/loss",
        "callbacks.early_stopping.monitor=val/uncertainty",
        "trainer.max_time=00:08:00:00",
        "trainer.deterministic=warn",
        "trainer.precision=bf16-mixed",
        "+callbacks.mine={_target_: pytorch_lightning.callbacks.Timer, duration: 00:01:00:00}",
        "++model.net={_target_: datetime.timedelta, _partial_: true, anything: 3}",
    ],
)
def test_unusual_but_valid_overrides_pass(override):
    check("train", override)


def test_validate_config_does_not_change_its_argument():
    cfg = compose("predict", [*GIVEN["predict"], "overwrite=no"])
    assert validate_config("predict", cfg).overwrite is False
    assert cfg.overwrite == "no"


def test_keys_that_only_refer_to_others_are_not_listed():
    node = {"a": {"_target_": "torch.optim.AdamW", "lr": 1, "b": "${c}"}, "c": {"d": 2}}
    assert list(written_keys(node)) == ["a", "a.lr", "c", "c.d"]
    assert {"a.weight_decay", "a.betas"} <= set(possible_keys(node))
    assert "a.lr" not in set(possible_keys(node))


def test_validation_scores_are_those_that_are_logged():
    from segment.metrics.meter import OrganMeter

    organs = ["liver", "spleen"]
    logged = {"val/loss", *(f"val/{name}" for name in OrganMeter(organs).compute())}
    assert set(validation_scores(organs)) == logged
