"""Every part of a training recipe can be selected by one override and trains; docs/recipes.md lists the overrides."""

import functools
import hashlib
import re
import shlex
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st
from run_commands import config
from test_conf import options, train_config

from segment import build
from segment.checkpoint.load import load_model
from segment.commands.train import train
from segment.errors import UserError
from segment.model.combined_loss import set_epoch
from segment.model.marginal_loss import marginal
from segment.run.resume import recorded_facts
from segment.runtime.seeding import random_state

DOCS = Path(__file__).parents[1] / "docs" / "recipes.md"
# One pytest worker runs this file, because its runs share stored volumes.
pytestmark = pytest.mark.xdist_group("recipes")
TINY = [
    *("experiment=smoke", "augment=none", "logger=none", "test=false", "++preflight=false", "data.num_workers=0"),
    *("data.batch_size=1", "data.patches_per_epoch=2", "data.patch_size=[16,16,16]", "trainer.max_epochs=1"),
    *("model.inferer.patch_size=[32,32,32]", "spacing_mm=[10,10,10]"),
    "++page=false",
    "+trainer.enable_progress_bar=false",
]
NEEDED = ("checkpoint", "last", "interrupt", "guard", "average", "freeze", "stop")  # other callbacks are removed


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path, cache, monkeypatch):
    """Train in this process; takes the name of the run folder and overrides, and returns the last checkpoint."""
    monkeypatch.setenv("SEGMENT_CACHE", str(cache))
    monkeypatch.setenv("PL_GLOBAL_SEED", "0")  # training sets both; monkeypatch restores them
    monkeypatch.setenv("PL_SEED_WORKERS", "0")
    monkeypatch.chdir(tmp_path)

    def call(name, *overrides):
        cfg = config("train", *TINY, f"run_dir={name}", *overrides)
        cfg.callbacks = {key: node for key, node in cfg.callbacks.items() if key in NEEDED}
        with random_state(0):
            train(cfg)
        return torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)

    return call


def documented():
    """The overrides in docs/recipes.md: text in backticks that has the form of an override."""
    text = re.sub(r"```.*?```", "", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"`([\w./]+=[^`]*)`", text)
    return [shlex.split(line) if "{" not in line else [line] for line in found if line != "weights_only=True"]


@pytest.mark.parametrize("overrides", documented(), ids=" ".join)
def test_every_override_of_the_page_composes(overrides):
    cfg = train_config(*(override.replace("<", "").replace(">", "") for override in overrides))
    instantiate(cfg.model, _convert_="all")
    build.instantiate(cfg.callbacks)


def test_the_page_lists_every_choice():
    text = DOCS.read_text(encoding="utf-8")
    for group, form in (("scheduler", "{}={}"), ("model/criterion", "{}={}"), ("callbacks", "{}=[default,{}]")):
        for option in options(group):
            if option not in ("default", "none"):
                assert form.format(group, option) in text


CHOICES = [
    *(["model/criterion=" + name] for name in options("model/criterion")),
    *(["scheduler=" + name] for name in options("scheduler")),
    ["callbacks=[default,ema]"],
    ["callbacks=[default,swa]", "scheduler=swa"],
    ["callbacks=[default,freeze]", "callbacks.freeze.until_epoch=1"],
    ["class_weights={background: 0.2, spleen: 3}"],
    ["model.net.deep_supervision=true"],
    ["trainer.accumulate_grad_batches=2", "trainer.gradient_clip_val=0.5"],
]


@pytest.mark.filterwarnings("ignore")  # Lightning warns about few batches and no workers
@pytest.mark.parametrize("overrides", CHOICES, ids=" ".join)
def test_every_choice_trains_and_its_checkpoint_can_be_loaded(run, tmp_path, overrides):
    last = run("a", *overrides)
    assert last["global_step"] == (1 if "trainer.accumulate_grad_batches=2" in overrides else 2)
    assert all(torch.isfinite(value).all() for value in last["state_dict"].values())
    trained = load_model(tmp_path / "a" / "checkpoints" / "best.ckpt")
    assert len(trained.net(torch.zeros(1, 1, 16, 16, 16))[0]) == 5


class Stopped(Exception):  # noqa: N818
    """Raised by `Stop`."""


class Stop(pl.Callback):
    """Ends a run before a batch, without saving anything."""

    def __init__(self, epoch, batch):
        self.at = (epoch, batch)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.at:
            raise Stopped


RECIPES = [
    ["callbacks=[default,ema,freeze]", "callbacks.freeze.until_epoch=1", "scheduler=one_cycle"],
    ["callbacks=[default,swa]", "callbacks.average.start=0.4", "scheduler=swa", "model/criterion=boundary"],
    ["scheduler=warmup_poly", "trainer.accumulate_grad_batches=2", "model.net.norm=batch"],
]


def differences(one, other, key=""):
    """Keys at which two checkpoints differ."""
    if isinstance(one, torch.Tensor):
        return [] if torch.equal(one, other) else [key]
    if isinstance(one, list | tuple):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, dict):
        assert one.keys() == other.keys(), key
        found = []
        for name, value in one.items():
            found += differences(value, other[name], f"{key}.{name}")
        return found
    return [] if one == other else [f"{key}: {one} {other}"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", RECIPES, ids=" ".join)
def test_a_recipe_resumed_anywhere_ends_like_an_uninterrupted_run(run, recipe):
    recipe = [*recipe, "trainer.max_epochs=3", "data.patches_per_epoch=4", "callbacks.interrupt.minutes=0"]
    whole = run("whole", *recipe)
    parts = ["state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "losses"]
    for number, (epoch, batch) in enumerate([(0, 2), (1, 0), (2, 2)]):
        stop = f"+callbacks.stop={{_target_: test_recipes.Stop, epoch: {epoch}, batch: {batch}}}"
        with pytest.raises(Stopped):
            run(f"run{number}", *recipe, stop)
        resumed = run(f"run{number}", *recipe, "resume=true", "allow_changed=[callbacks.stop]")
        for part in parts:
            if part in whole:
                assert differences(whole[part], resumed[part], part) == []


@pytest.mark.filterwarnings("ignore")
def test_accumulated_gradients_equal_those_of_a_larger_batch(run):
    sgd = ["optimizer._target_=torch.optim.SGD", "optimizer.lr=0.1", "scheduler=none"]
    each = ["model.criterion.batch=false"]  # Dice per patch; then the loss of a batch is the mean of its patches
    large = run("large", *sgd, *each, "data.batch_size=2")["state_dict"]
    small = run("small", *sgd, *each, "trainer.accumulate_grad_batches=2")["state_dict"]
    assert all(torch.allclose(value, large[name], atol=1e-6) for name, value in small.items())


@pytest.mark.filterwarnings("ignore")
def test_a_run_starts_from_the_weights_of_another_run_by_organ(run, tmp_path, caplog):
    caplog.set_level("INFO")
    first = run("first")
    still = ["optimizer.lr=0", "optimizer.weight_decay=0"]
    start = ["init_from=first/checkpoints/last.ckpt", "organs=[spleen,liver]"]
    second = run("second", *start, *still)
    bias, before = (each["state_dict"]["net.heads.0.0.bias"] for each in (second, first))
    assert torch.equal(bias, before[[0, 4, 1]])
    rest = [key for key in first["state_dict"] if ".heads." not in key]
    assert all(torch.equal(first["state_dict"][key], second["state_dict"][key]) for key in rest)
    assert "init_from=first/checkpoints/last.ckpt: 51 tensors loaded, 100 % of the weights" in caplog.text
    assert set(first["segment"]["voxel_hashes"]) <= set(second["segment"]["voxel_hashes"])
    sha256 = hashlib.sha256((tmp_path / "first" / "checkpoints" / "last.ckpt").read_bytes()).hexdigest()
    (tmp_path / "first" / "checkpoints" / "last.ckpt").rename(tmp_path / "moved.ckpt")
    longer = ["trainer.max_epochs=2", "resume=true", "allow_changed=[trainer.max_epochs]"]
    resumed = run("second", *start, *still, *longer)  # from its own checkpoint
    assert resumed["epoch"] == 1
    assert recorded_facts(tmp_path / "second") == {"init_sha256": sha256}
    assert set(first["segment"]["voxel_hashes"]) <= set(resumed["segment"]["voxel_hashes"])
    with pytest.raises(UserError, match="which is a test case of this split"):
        run("third", "init_from=moved.ckpt", "split.seed=5")


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_keeps_the_names_of_its_weights(run, monkeypatch):
    compiled = []
    real = torch.nn.Module.compile
    # The eager backend, because the default one compiles C++ for a minute.
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: (compiled.append(self), real(self, backend="eager")))
    assert run("a", "compile=true")["state_dict"].keys() == run("b")["state_dict"].keys()
    assert len(compiled) == 1


@functools.cache
def criterion_of(name, weights="{background: 0.5, liver: 2}"):
    cfg = train_config(f"model/criterion={name}", f"class_weights={weights}")
    criterion = instantiate(cfg.model.criterion, _convert_="all")
    set_epoch(criterion, 5)  # ramps of loss weights have started
    return criterion


CRITERIA = options("model/criterion")


@given(
    st.sampled_from(CRITERIA),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([0.1, 5.0, 200.0]),
    st.integers(0, 1000),
)
def test_losses_and_gradients_are_finite_with_unannotated_organs(name, known, size, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(2, 5, 4, 4, 4, generator=generator) * size).requires_grad_()
    annotated = torch.tensor([[True, *known], [True] * 5])
    label = torch.randint(0, 5, (2, 1, 4, 4, 4), generator=generator).to(torch.uint8)
    label[0][~annotated[0][label[0].long()]] = 0
    loss = criterion_of(name)(marginal(logits, annotated), label)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", CRITERIA)
def test_losses_and_gradients_are_finite_without_organs_and_background_weight(name):
    logits = torch.randn(2, 5, 4, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = criterion_of(name, "{background: 0}")(logits, torch.zeros(2, 1, 4, 4, 4, dtype=torch.uint8))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@given(st.sampled_from(CRITERIA), st.integers(1, 4), st.integers(0, 1000))
def test_every_loss_treats_an_unannotated_organ_as_background(name, unknown, seed):
    """Moving probability from the background to an unannotated organ does not change the loss."""
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(1, 5, 4, 4, 4, generator=generator).softmax(dim=1)
    moved = probs.clone()
    moved[:, unknown] += 0.9 * moved[:, 0]
    moved[:, 0] *= 0.1
    annotated = torch.ones(1, 5, dtype=torch.bool)
    annotated[0, unknown] = False
    label = torch.randint(0, 5, (1, 1, 4, 4, 4), generator=generator)
    label[label == unknown] = 0
    one, other = (criterion_of(name)(marginal(p.log(), annotated), label).item() for p in (probs, moved))
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("name", CRITERIA)
def test_the_reference_has_the_lowest_loss(name):
    label = torch.randint(0, 5, (2, 1, 6, 6, 6), generator=torch.Generator().manual_seed(0))
    right = 20.0 * torch.nn.functional.one_hot(label[:, 0], 5).movedim(-1, 1).float()
    wrong = right.roll(1, dims=1)
    losses = [criterion_of(name)(logits, label).item() for logits in (right, torch.zeros_like(right), wrong)]
    assert losses == sorted(losses)
    assert losses[0] < losses[1]


@pytest.mark.parametrize("name", CRITERIA)
def test_class_weights_change_every_loss(name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 4, 4, 4, generator=generator)
    logits[:, 1] += 2  # the liver, which has more weight, is predicted more often
    label = torch.randint(0, 5, (2, 1, 4, 4, 4), generator=generator)
    cfg = train_config(f"model/criterion={name}")
    plain = instantiate(cfg.model.criterion, _convert_="all")
    set_epoch(plain, 5)
    assert criterion_of(name)(logits, label).item() != pytest.approx(plain(logits, label).item(), rel=1e-3)
