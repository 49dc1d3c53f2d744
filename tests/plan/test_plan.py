import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from plan_sets import fingerprint, net_maker
from run_commands import config

from segment.checkpoint.load import read_checkpoint
from segment.checkpoint.starter import checkpoint_path
from segment.checkpoint.transfer import transfer
from segment.configuration.check import validate_config
from segment.configuration.composition import compose_config, initialized_hydra
from segment.configuration.instantiate import instantiate
from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.files import write_text
from segment.memory.patch_size import check_patch_size
from segment.model.state_keys import NET
from segment.plan import start
from segment.plan.cost import step_cost
from segment.plan.families import FAMILIES, check_net
from segment.plan.fingerprint import OrganFacts
from segment.plan.machine import Machine, gpu_memory
from segment.plan.plan import plan
from segment.plan.recipe import Line, Recipe
from segment.plan.sizes import FIELD_MM, SHORT, WIDEST_MM, Search, finest_spacing, least_steps, wide_field
from segment.plan.training import Parts, parts_by_share, steps_per_epoch

GPU = Machine(8, 64, 24)
LAPTOP = Machine(2, 16)
ISOTROPIC = {"spacing": (1.5, 1.5, 1.5)}
THICK = {"spacing": (0.8, 0.8, 5.0), "thick": 1.0}
TINY = {"spacing": (1.5, 1.5, 1.5), "extent": (96.0, 96.0, 60.0)}


def planned(facts, machine=LAPTOP, hours=0.2, net="vnet", split="random", init_from=None):
    recipe = plan(facts, machine, hours, net, net_maker(net), "mine", split, init_from=init_from)
    return recipe, {line.key: line.value for line in (*recipe.choices, *recipe.lines)}


def net_keys(values):
    return {key.removeprefix("model.net."): value for key, value in values.items() if key.startswith("model.net.")}


@pytest.fixture(scope="module")
def thick_on_gpu():
    return planned(fingerprint(**THICK), GPU, hours=8)


def test_equal_facts_give_equal_bytes():
    texts = {planned(fingerprint(**ISOTROPIC))[0].text() for _ in range(2)}
    assert len(texts) == 1


def test_every_setting_has_a_reason(thick_on_gpu):
    recipe, _ = thick_on_gpu
    assert all(line.reason for line in (*recipe.choices, *recipe.lines))
    lines = recipe.text().splitlines()
    for above, line in itertools.pairwise(lines):
        if not line.strip().startswith("#") and not line.endswith(":"):
            assert above.strip().startswith("#"), line


def test_the_file_is_an_experiment_that_composes_to_what_was_planned(thick_on_gpu, tmp_path):
    recipe, values = thick_on_gpu
    assert recipe.text().splitlines()[:2] == ["# @package _global_", f"# {recipe.command}"]
    write_text(tmp_path / "experiment" / "mine.yaml", recipe.text())
    with initialized_hydra(str(tmp_path)):
        cfg = validate_config("train", compose_config("train", ["experiment=mine", "run_dir=."]))
    for key, value in values.items():
        if key and "/" not in key and key not in ("augment", "optimizer", "scheduler", "trainer", "callbacks"):
            assert OmegaConf.select(cfg, key) == value, key
    module = instantiate(cfg.model)
    check_patch_size(module.net, cfg.data.patch_size, cfg.data.batch_size)
    assert module.inferer.patch_size == tuple(cfg.data.patch_size)


def test_thick_slices_keep_their_thickness_and_are_halved_less(thick_on_gpu):
    _, values = thick_on_gpu
    assert values["spacing_mm"][2] == 5.0
    assert values["spacing_mm"][0] < 2.5
    times = [axis.count(2) for axis in zip(*values["model.net.strides"], strict=True)]
    assert times[2] < times[0]
    assert values["augment"] == "strong"


def test_a_small_field_of_view_limits_the_patch_and_gives_room_for_a_larger_batch():
    _, values = planned(fingerprint(**TINY))
    assert values["data.patch_size"] == [64, 64, 40]
    assert values["spacing_mm"] == [1.5, 1.5, 1.5]
    assert values["data.batch_size"] > 2


def shown(values, extent):
    """Share of the CT's volume that a patch shows."""
    sizes = zip(values["data.patch_size"], values["spacing_mm"], strict=True)
    return math.prod(n * mm for n, mm in sizes) / math.prod(extent)


@pytest.mark.parametrize("hours", [0.1, 0.2, 0.5, 1, 4])
def test_a_short_training_on_whole_trunks_gets_patches_of_a_fifth_of_their_volume(hours):
    extent = (360.0, 360.0, 350.0)
    recipe, values = planned(fingerprint(spacing=(1.5, 1.5, 1.5), extent=extent), hours=hours)
    assert 0.19 <= shown(values, extent) < 0.28
    text = " ".join(recipe.text().replace("#", "").split())
    assert f"mm of a median field of view of 360 x 360 x 350 mm, {shown(values, extent):.0%} of its volume" in text


def test_other_trainings_get_smaller_patches_and_finer_voxels():
    extent = (360.0, 360.0, 350.0)
    for spacing, machine, hours in ((1.5, GPU, 40), (4.0, Machine(16, 64), 4)):  # 16 cores train more than 10,000 steps
        _, values = planned(fingerprint(spacing=(spacing,) * 3, extent=extent), machine, hours)
        assert values["trainer.max_epochs"] * values["data.patches_per_epoch"] >= SHORT * values["data.batch_size"]
        assert shown(values, extent) < 0.22


def test_no_patch_is_wider_than_that_of_quick_for_its_sake():
    _, values = planned(fingerprint(spacing=(2.0, 2.0, 3.0), extent=(500.0, 500.0, 1800.0)), hours=1)
    assert shown(values, (256.0,) * 3) < 1.3
    assert max(values["spacing_mm"]) < 3.5


extents = st.lists(st.floats(50, 2000), min_size=3, max_size=3)


@given(extents)
def test_the_wide_field_is_the_smallest_that_shows_a_fifth(extent):
    field = wide_field(extent)
    share = math.prod(min(field, edge) for edge in extent) / math.prod(extent)
    assert FIELD_MM <= field <= WIDEST_MM
    assert share >= 0.2 or field == WIDEST_MM
    if field > FIELD_MM:
        assert math.prod(min(field - 1, edge) for edge in extent) / math.prod(extent) < 0.2


def test_a_slab_of_a_few_slices_gets_a_flat_patch():
    _, values = planned(fingerprint(spacing=(0.8, 0.8, 5.0), extent=(60.0, 60.0, 25.0)))
    assert values["data.patch_size"][2] == 8
    check_patch_size(
        net_maker()({k[10:]: v for k, v in values.items() if k.startswith("model.net.")}), values["data.patch_size"], 2
    )


def test_more_hours_give_finer_voxels_or_more_context_and_more_steps():
    few, many = (planned(fingerprint(**ISOTROPIC), hours=hours)[1] for hours in (0.1, 10))
    assert many["spacing_mm"] < few["spacing_mm"]
    steps = [v["trainer.max_epochs"] * v["data.patches_per_epoch"] for v in (few, many)]
    assert steps[0] < steps[1]


def test_little_memory_gives_smaller_patches():
    facts = fingerprint(**ISOTROPIC)
    (little, small), (_, large) = (planned(facts, Machine(8, 64, gb), hours=40) for gb in (4, 24))
    assert math.prod(small["data.patch_size"]) < math.prod(large["data.patch_size"])
    assert "GB, and a step may use" in little.text()


def test_a_few_patients_begin_with_the_starter_weights():
    _, values = planned(fingerprint(patients=8), hours=40, init_from="auto")
    assert values["init_from"] == "starter"
    assert values["optimizer"] == "adamw"
    assert values["optimizer.lr"] == config("train", "experiment=finetune").optimizer.lr
    assert values["spacing_mm"] == [3.0, 3.0, 3.0]
    assert not any(key.startswith("model.net.") for key in values)
    other = fingerprint(patients=8, organs={"pancreas": OrganFacts(8, 8)})
    recipe, values = planned(other, init_from="auto")
    assert values["init_from"] is None
    assert "optimizer.lr" not in values
    assert "the starter weights do not know pancreas" in " ".join(recipe.text().replace("#", "").split())
    with pytest.raises(UserError, match="the starter weights do not know pancreas; leave init_from= out"):
        planned(other, init_from="starter")


def test_the_training_of_the_starter_weights_is_known():
    recipe = config("train", "experiment=starter")
    weights = read_checkpoint(checkpoint_path("starter"))["segment"]["config"]
    for preprocess in (recipe.preprocess, weights["preprocess"]):
        assert tuple(preprocess["transforms"][1]["spacing_mm"]) == start.SPACING
    assert (list(recipe.data.patch_size), recipe.data.batch_size) == ([start.PATCH] * 3, start.BATCH)
    assert recipe.trainer.max_epochs * recipe.data.patches_per_epoch == start.STARTER_STEPS * start.BATCH
    assert set(weights["organs"]) == start.ORGANS
    step = step_cost(net_maker()({}), start.BATCH, [start.PATCH] * 3, LAPTOP, 0)
    assert step.operations == pytest.approx(start.STEP_OPERATIONS, rel=0.001)


def test_a_plan_from_the_starter_weights_takes_them_whole(tmp_path):
    recipe, _ = planned(fingerprint(patients=8), init_from="auto")
    write_text(tmp_path / "experiment" / "mine.yaml", recipe.text())
    with initialized_hydra(str(tmp_path)):
        cfg = validate_config("train", compose_config("train", ["experiment=mine", "run_dir=."]))
    checkpoint = read_checkpoint(checkpoint_path(cfg.init_from))
    weights = {}
    for name, value in checkpoint["state_dict"].items():
        if name.startswith(NET):
            weights[name.removeprefix(NET)] = value
    known = checkpoint["segment"]["config"]
    net, untrained_net = instantiate(cfg.model).net, instantiate(cfg.model.net)
    transferred = transfer(net, untrained_net, list(cfg.organs), weights, known["organs"])
    assert (transferred.share, transferred.skipped, transferred.unused) == (1, [], [])
    assert OmegaConf.to_container(cfg.preprocess, resolve=True) == known["preprocess"]


@pytest.mark.parametrize(("hours", "is_short"), [(0.2, True), (2.2, True), (2.3, False), (40, False)])
def test_hours_that_hold_less_than_the_training_of_the_starter_weights_begin_with_them(hours, is_short):
    """8,000 steps of 39.35 GFLOP, in 85 % of the hours, by two cores of 23 GFLOP/s, are 2.24 hours."""
    recipe, values = planned(fingerprint(patients=40), hours=hours, init_from="auto")
    assert values["init_from"] == ("starter" if is_short else None)
    assert ("optimizer.lr" in values) == is_short
    possible = round(0.85 * 3600 * hours * 46 / 39.35)
    text = " ".join(recipe.text().replace("#", "").split())
    than = "fewer" if is_short else "more"
    stated = re.search(rf"hold about ([\d,]+) steps of the starter weights' size, {than} than the 8,000 that", text)
    assert int(stated[1].replace(",", "")) == pytest.approx(possible, rel=0.05)
    assert ("40 patients are more than 10, and at the assumed speed the hours hold" in text) != is_short


@pytest.mark.parametrize(("cores", "limit"), [(1, 4.47), (2, 2.24), (16, 0.28)])
def test_more_hours_never_return_to_the_starter_weights(cores, limit):
    """Of the plans from scratch, the number of steps is not monotone: finer voxels make them larger."""
    machine = Machine(cores, 16)
    for share in (0.1, 0.5, 0.99, 1.01, 2, 3, 6):
        _, values = planned(fingerprint(), machine, share * limit, init_from="auto")
        assert values["init_from"] == ("starter" if share < 1 else None), share


@pytest.mark.parametrize("patients", [8, 40])
def test_hours_that_are_too_short_for_the_starter_weights_are_refused(patients):
    with pytest.raises(UserError, match=r"does not fit: a patch of 80 x 80 x 80 voxels leaves .* with init_from=null"):
        planned(fingerprint(**ISOTROPIC, patients=patients), hours=0.004, init_from="auto")
    assert planned(fingerprint(**ISOTROPIC, patients=patients), hours=0.004)[1]["init_from"] is None


@pytest.mark.parametrize("steps", [60, 114, 178, 240, 1199, 4000, 5100, 7990, 209_100, 250_000])
def test_epochs_use_nearly_all_steps(steps):
    each = steps_per_epoch(steps)
    assert 60 <= each <= 250
    assert 0.95 * steps <= steps // each * each <= steps


@pytest.mark.parametrize("hours", [0.025, 0.032, 0.05, 0.2, 1])
def test_a_plan_fills_its_hours(hours):
    """85 % of them, with steps of 39.35 GFLOP and 46 GFLOP/s."""
    _, values = planned(fingerprint(), hours=hours, init_from="auto")
    steps = values["trainer.max_epochs"] * values["data.patches_per_epoch"] / values["data.batch_size"]
    assert 0.8 < steps / (0.85 * 3600 * hours * 46 / 39.35) <= 1


def test_the_weights_to_begin_with_may_be_chosen():
    many, few = fingerprint(patients=40), fingerprint(patients=8)
    assert planned(many, hours=40, init_from="starter")[1]["init_from"] == "starter"
    recipe, values = planned(few, init_from=None)
    assert values["init_from"] is None
    assert "optimizer.lr" not in values
    assert "# as init_from=null asks\ninit_from: null\n" in recipe.text()
    with pytest.raises(UserError, match="init_from=starter: the starter weights are for net=vnet, not unet; leave "):
        planned(many, net="unet", init_from="starter")


def test_a_plan_from_the_starter_weights_has_no_more_steps_than_they_had():
    for patients, optimizer in ((8, "adamw"), (40, "sgd")):
        recipe, values = planned(fingerprint(patients=patients), GPU, hours=40, init_from="auto")
        steps = values["trainer.max_epochs"] * values["data.patches_per_epoch"] // values["data.batch_size"]
        assert (7_500 < steps <= 8_000) if patients == 8 else steps >= 20_000
        assert values["optimizer"] == optimizer
        assert ("optimizer.lr" in values) == (patients == 8)
        text = " ".join(recipe.text().replace("#", "").split())
        assert ("steps, about as many as the starter weights were trained for, need less than hours=40" in text) == (
            patients == 8
        )


def test_the_starter_weights_must_fit_too():
    facts = fingerprint(patients=8)
    with pytest.raises(UserError, match=r"the starter weights does not fit: a patch of .* leaves 0 steps in the hours"):
        planned(facts, hours=1e-6, init_from="starter")
    with pytest.raises(UserError, match=r"the starter weights does not fit: .* GB, and a step may use 0.1 GB; raise"):
        planned(facts, Machine(2, 0.2), init_from="starter")


def test_synthetic_cts_from_label_maps_train_and_do_not_validate():
    """Of 50 patients 10 validate. Four synthetic CTs of each of the other 40 train, together with their own CT."""
    facts = fingerprint(patients=50, test_patients=0, made=200)
    assert parts_by_share(facts, 0.2) == Parts(train=40 + 160, val=10)
    assert "CTs synthesised" not in planned(fingerprint(patients=50))[0].text()


def test_one_patient_is_refused():
    with pytest.raises(UserError, match="imaginary has one patient, who cannot both train and validate; label another"):
        planned(fingerprint(patients=1))


def test_only_a_random_split_gets_shares():
    recipe, values = planned(fingerprint(), split="given")
    assert not any(key.startswith("split.") for key in values)
    text = " ".join(recipe.text().replace("#", "").split())
    assert "split: as split=given says; without the data it is assumed that 26 CTs train and 6 validate" in text


def test_validations_and_patches_are_counted_in_the_split_that_is_given():
    """Sets whose authors let half of the CTs validate and few train."""

    def text_for(parts):
        recipe = plan(fingerprint(**ISOTROPIC), LAPTOP, 0.2, "vnet", net_maker("vnet"), "mine", "given", parts)
        return " ".join(recipe.text().replace("#", "").split())

    few, more = text_for(Parts(train=8, val=20)), text_for(Parts(train=16, val=20))
    assert "split: as split=given says; 8 CTs train and 20 validate" in few
    assert "a validation of 20 CTs has about" in few
    each, half = (int(re.search(r"(\d+) patches of each training CT are seen", text)[1]) for text in (few, more))
    assert abs(each - 2 * half) <= 1


@pytest.mark.parametrize(("hours", "patients"), [(0.05, 40), (0.2, 300), (1, 40)])
def test_the_last_epoch_is_validated(hours, patients):
    _, values = planned(fingerprint(**ISOTROPIC, patients=patients), hours=hours)
    assert values["trainer.max_epochs"] % values["trainer.check_val_every_n_epoch"] == 0


def test_windows_are_counted_along_each_axis(thick_on_gpu):
    recipe, values = thick_on_gpu
    windows = 1
    for extent, spacing, edge in zip((400, 400, 240), values["spacing_mm"], values["data.patch_size"], strict=True):
        windows += windows * math.ceil(max(0, 2 * (extent / spacing - edge) / edge))  # each moves by half a patch
    cases = round(40 * values["split.val"])
    text = " ".join(recipe.text().replace("#", "").split())
    assert f"a validation of {cases} CTs has about {cases * windows} windows" in text


def test_partly_labelled_sets_are_counted():
    text = planned(fingerprint(**ISOTROPIC, partial=10))[0].text()
    assert "40 CTs of 40 patients, 10 of them partly labelled" in text
    assert "CTs that label each: liver 40, " in " ".join(text.replace("#", "").split())


def test_the_window_holds_organs_and_fat():
    facts = fingerprint(**ISOTROPIC, organ_hu=(-85.0, 312.0), body_hu=tuple(range(-200, 220, 20)))
    _, values = planned(facts)
    window, standardize = values["preprocess.transforms"][2:]
    assert window["window_hu"] == [-160, 320]
    assert 0.2 < standardize["mean"] < 0.5
    assert 0.2 < standardize["std"] < 0.35
    *_, unknown_body = planned(fingerprint(**ISOTROPIC, organ_hu=(-85.0, 312.0)))[1]["preprocess.transforms"]
    assert (unknown_body["mean"], unknown_body["std"]) == (round(160 / 480, 2), round(120 / 480, 2))
    assert "preprocess.transforms" not in planned(fingerprint(**ISOTROPIC))[1]


def test_tissue_maps_and_small_organs_change_augmentation_and_limits():
    organs = fingerprint().organs | {"spleen": OrganFacts(40, 40, smallest_ml=4.0, median_ml=150.0)}
    _, values = planned(fingerprint(**ISOTROPIC, with_tissues=40, organs=organs))
    assert values["augment"] == "contrast"
    assert values["postprocess.small.min_ml.spleen"] == 2.0
    tiny = fingerprint(**ISOTROPIC, organs={"spleen": OrganFacts(40, 40, smallest_ml=0.0, median_ml=150.0)})
    assert planned(tiny)[1]["postprocess.small.min_ml.spleen"] == 0.1  # the step refuses 0


@pytest.mark.parametrize("net", ["dynunet", "unet", "segresnet"])
def test_other_networks_can_be_planned(net):
    _, values = planned(fingerprint(**ISOTROPIC), hours=2, net=net)
    check_patch_size(net_maker(net)(net_keys(values)), values["data.patch_size"], values["data.batch_size"])


def test_networks_with_equal_strides_only_say_why_they_are_not_planned():
    with pytest.raises(UserError, match=r"net=segresnet cannot be planned for these CTs: it halves all axes together"):
        planned(fingerprint(**THICK), hours=8, net="segresnet")


def test_every_network_can_be_planned_or_says_why_not():
    for path in (Path(config_dir()) / "model" / "net").glob("*.yaml"):
        if path.stem in FAMILIES:
            check_net(path.stem)
            continue
        with pytest.raises(UserError, match=rf"net={path.stem} cannot be planned: it is .*; plan net=vnet"):
            check_net(path.stem)


def test_an_impossible_budget_is_refused_with_the_limit():
    with pytest.raises(UserError, match=r"no patch of net=vnet fits: a patch of .*; raise hours=, or name a larger"):
        planned(fingerprint(**ISOTROPIC), Machine(1, 0.1), hours=1)


def test_very_thick_slices_follow_the_finest_tenth():
    facts = fingerprint(spacing=(0.8, 0.8, 5.0))
    assert finest_spacing(replace(facts, spacing_low_mm=(0.7, 0.7, 2.5))) == (0.8, 0.8, 2.5)
    assert finest_spacing(fingerprint(spacing=(0.4, 0.5, 0.6))) == (0.7, 0.7, 0.7)


def test_steps_grow_with_the_root_of_the_budget():
    assert least_steps(4 * 840 * 2e10) == 2 * 840
    assert least_steps(1e30) == 250_000


def test_a_gpu_is_as_fast_as_nnunet_measured():
    # 250,000 steps of 5.7 TFLOP, and as many thousand forward passes to validate, in 9 hours on 40 GB.
    seconds = (250_000 + 50_000 / 3) * 5.7e12 / Machine(8, 64, 40).rate
    assert seconds / 3600 == pytest.approx(9, rel=0.1)


def test_steps_may_be_a_tenth_too_few_if_finer_voxels_fit():
    facts = fingerprint(**ISOTROPIC)
    search = Search(facts, GPU, 8, "vnet", net_maker())
    assert search.least_steps == round(0.9 * least_steps(search.operations))


def test_hours_that_are_left_by_the_most_steps_go_into_the_batch():
    facts = fingerprint(spacing=(0.8, 0.8, 1.0), spacing_low_mm=(0.8, 0.8, 1.0))
    search = Search(facts, Machine(8, 64, 80), 8, "vnet", net_maker())
    found = search.run()
    assert found.spacing_mm > found.fine_mm
    assert found.batch > 2
    assert found.steps >= search.least_steps


@pytest.mark.parametrize(("device", "memory"), [("cpu", None), ("24GB", 24), ("10.5 gb", 10.5)])
def test_a_device_is_named_by_its_memory(device, memory):
    assert gpu_memory(device) == memory


@pytest.mark.parametrize("device", ["gpu", "2GB", "24"])
def test_other_devices_are_refused(device):
    with pytest.raises(UserError, match=rf"device={device} is neither cpu nor the memory of a GPU"):
        gpu_memory(device)


def test_nodes_are_written_once_and_remarks_have_no_key():
    lines = [Line("a.b.c", 1, "one"), Line("a.b.d", [1, 2], "two"), Line("", None, "three"), Line("e", None, "four")]
    text = Recipe("segment train", [], [], lines).text()
    assert text.endswith("a:\n  b:\n    # one\n    c: 1\n    # two\n    d: [1, 2]\n# three\n# four\ne: null\n")
