"""`segment plan`: plan a recipe for a data set, a machine and some hours, and write it as an experiment."""

import json
import logging
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import nn

from segment.checkpoint.load import read_checkpoint
from segment.checkpoint.starter import STARTER, checkpoint_path
from segment.commands.command import hydra_command
from segment.configuration.instantiate import instantiate
from segment.configuration.schema import Plan, Recipe
from segment.configuration.values import config_dir, is_at_or_below, override_key
from segment.data.datamodule import CTDataModule
from segment.data.splits.random_split import RandomSplit
from segment.data.splits.split import not_made
from segment.datasets.cases import Case
from segment.errors import UserError
from segment.files import write_text
from segment.memory import measure
from segment.plan.cost import MakeNet
from segment.plan.explain import explain
from segment.plan.families import check_net
from segment.plan.fingerprint import Fingerprint, make_fingerprint, read_fingerprint
from segment.plan.machine import Machine, gpu_memory
from segment.plan.plan import plan as make_plan
from segment.plan.recipe import Recipe as Planned
from segment.plan.training import Parts
from segment.privacy import without_path
from segment.runtime.cores import allowed_cores
from segment.runtime.seeding import random_state

log = logging.getLogger(__name__)

OWN = Plan.__annotations__.keys() - Recipe.__annotations__.keys()  # options that training does not have
HARMLESS = ("data", "data.num_workers", "split", "task")  # followed by plans, or without effect on their choices
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # what experiment=<name> takes without quotes


def plan(cfg: DictConfig) -> None:
    """Plan, write the files and print the plan; or compare two plans.

    Raises:
        UserError: When the data cannot be read, the network cannot be planned, nothing fits, or the plan exists; when
            an experiment is given, or other organs than those of the fingerprint.
    """
    if cfg.explain:
        if len(cfg.explain) != 2:
            msg = f"explain={list(cfg.explain)} must name two plans, e.g. explain=[planned_flare22,planned_btcv]"
            raise UserError(msg)
        print(explain(*(_plan_file(cfg, str(name)) for name in cfg.explain)))
        return
    groups = HydraConfig.get().runtime.choices
    if groups["experiment"] != "quick":
        msg = f"experiment={groups['experiment']}: a plan is an experiment of its own; give data= and other options"
        raise UserError(msg)
    known = read_fingerprint(Path(cfg.fingerprint)) if cfg.fingerprint else None
    data = _data_choice(known)
    name = cfg.name or "_".join(["planned", *re.findall(r"\w+", data)])
    target = _plan_file(cfg, name)
    _check_target(cfg, name, target)
    check_net(cfg.net)
    machine = _machine(cfg)
    cases: Sequence[Case] = []
    if known is None:
        facts, parts, cases = _measured(cfg, data, groups["split"])
    else:
        facts, parts = _of_other_command(cfg, known, data)
    net = _net_maker(cfg, 1 + len(facts.organs))
    recipe = make_plan(facts, machine, cfg.hours, cfg.net, net, name, groups["split"], parts, cfg.init_from)
    _check_overrides(recipe)
    if recipe.starts_trained:
        _warn_of_trained(cases)
    recipe = _with_whole_command(recipe, _command(cfg, name, data))
    write_text(target, recipe.text())
    write_text(Path(cfg.folder) / "fingerprints" / f"{name}.json", json.dumps(facts.plain(), indent=1))
    print(recipe.text())
    print(f"plan: {target}; run it by `{shlex.join(_command(cfg, name, data))}`")


def _check_overrides(recipe: Planned) -> None:
    """Refuse options that the plan sets: it would not follow them, and its command would replace its own choices.

    Raises:
        UserError: With the first such option.
    """
    groups = [choice.key.replace("/", ".") for choice in recipe.choices]  # options in a group may be the user's
    settings = ["model.net", *(line.key for line in recipe.lines if line.key)]
    for override in HydraConfig.get().overrides.task:
        key = override_key(override)
        if key in OWN or key in HARMLESS:
            continue
        name = key.replace("/", ".")
        is_above = any(is_at_or_below(one, name) for one in [*groups, *settings])
        if is_above or any(is_at_or_below(name, one) for one in settings):
            msg = (
                f"{key} is what a plan chooses, by data, hours=, device=, net= and init_from=; leave it out, and "
                "give it to segment train, or change it in the plan"
            )
            raise UserError(msg)
        if recipe.starts_trained and is_at_or_below(name, "preprocess"):
            msg = f"{key}: the starter weights need the preprocessing that they were trained with; leave it out"
            raise UserError(msg)


def _with_whole_command(recipe: Planned, command: Sequence[str]) -> Planned:
    """The recipe with the command that runs it on the same data and split, without folders of this machine."""
    private = [without_path(word) for word in command]
    note = [] if private == command else ["Absolute paths are shortened to their last part; complete them before use."]
    return replace(recipe, command=shlex.join(private), summary=[*note, *recipe.summary])


def _command(cfg: DictConfig, name: str, data: str) -> list[str]:
    """The command that runs a plan on the same data; other folders than plans/ must be named."""
    given = [word for word in HydraConfig.get().overrides.task if override_key(word) not in {*OWN, "data"}]
    folder = [] if Path(cfg.folder) == Path("plans") else [f"--config-dir={cfg.folder}"]
    return ["segment", "train", f"experiment={name}", f"data={data}", *given, *folder]


def _plan_file(cfg: DictConfig, name: str) -> Path:
    return Path(name) if name.endswith(".yaml") else Path(cfg.folder) / "experiment" / f"{name}.yaml"


def _check_target(cfg: DictConfig, name: str, target: Path) -> None:
    if not NAME.fullmatch(name):
        msg = f"name={name} must begin with a letter and have letters, digits, - and _ only, for experiment=<name>"
        raise UserError(msg)
    if (Path(config_dir()) / "experiment" / f"{name}.yaml").exists():
        msg = f"name={name} is an experiment that comes with segment; choose another name"
        raise UserError(msg)
    if target.exists() and not cfg.overwrite:
        msg = f"{target} exists; choose another name=, or overwrite=true"
        raise UserError(msg)


def _machine(cfg: DictConfig) -> Machine:
    """The machine that the options name."""
    device = cfg.device or "cpu"
    if not cfg.device and torch.cuda.is_available():
        device = f"{round(torch.cuda.get_device_properties(0).total_memory / 1e9)}GB"
    return Machine(allowed_cores(), round(measure.total() / 1e9, 1), gpu_memory(device))


def _of_other_command(cfg: DictConfig, known: Fingerprint, data: str) -> tuple[Fingerprint, None]:
    """A fingerprint that an earlier command made, for data of this name. The parts of a split are not known."""
    if list(known.organs) != list(cfg.organs):
        given, measured = ",".join(cfg.organs), ",".join(known.organs)
        msg = f"organs=[{given}] are not those of fingerprint={cfg.fingerprint}; give organs=[{measured}]"
        raise UserError(msg)
    return replace(known, name=data), None


def _measured(cfg: DictConfig, data: str, split: str) -> tuple[Fingerprint, Parts | None, Sequence[Case]]:
    """The fingerprint of the data without the test cases, what their split gives, and these cases.

    The second is None for a random split, whose share of validation is planned.
    """
    datamodule: CTDataModule = instantiate(cfg.data)
    splitter, parts = datamodule.splitter, None
    if split == "random" and isinstance(splitter, RandomSplit):
        tests = splitter.test_patients(datamodule.cases)
        cases = [case for case in datamodule.cases if case.patient not in tests]
    else:  # before the data are measured, because it may be unusable
        cases = [*datamodule.split.train, *datamodule.split.val]
        parts = Parts(len(datamodule.split.train), len(datamodule.split.val))
        tests = {case.patient for case in datamodule.split.test}
    real = not_made(cases)
    if not real:
        who = "all CTs are synthesised from label maps, which only train" if cases else "all patients test"
        msg = f"{who}, so there is nothing to plan for; choose another split or more data"
        raise UserError(msg)
    facts = list(datamodule.store.facts(real, datamodule.num_workers).values())
    patients = {case.patient for case in real}
    with_tissues = sum(case.tissues is not None for case in cases)
    others = len(tests - patients)
    made = len(cases) - len(real)  # they only train, so they are counted, not measured
    fingerprint = make_fingerprint(data, facts, len(patients), datamodule.organs, with_tissues, others, made)
    return fingerprint, parts, cases


def _warn_of_trained(cases: Sequence[Case]) -> None:
    """Log that the starter weights were trained or selected on cases of these names."""
    split = read_checkpoint(checkpoint_path(STARTER))["segment"]["split"]
    trained = {*split["train"], *split["val"]}
    equal = [case.id for case in cases if case.id in trained]
    if equal:
        log.warning(
            "the starter weights were trained or selected on %d CTs with the names of these, e.g. %s; with these "
            "weights, validation would score too high: plan with init_from=null, or give other data",
            len(equal),
            equal[0],
        )


def _data_choice(known: Fingerprint | None) -> str:
    """The value of `data=` in the command that runs the plan, for example `flare22` or `[flare22,btcv]`."""
    given = [word for word in HydraConfig.get().overrides.task if word.startswith("data=")]
    if given:
        return given[-1].removeprefix("data=")
    return known.name if known else "phantom"


def _net_maker(cfg: DictConfig, classes: int) -> MakeNet:
    """Builds the network on the meta device from keys of `model.net`."""
    path = Path(config_dir()) / "model" / "net" / f"{cfg.net}.yaml"

    def make_net(keys: dict[str, Any]) -> nn.Module:
        node = OmegaConf.merge(OmegaConf.load(path), keys)
        with random_state(0), torch.device("meta"):
            net: nn.Module = instantiate(node)(out_channels=classes)  # type: ignore[arg-type]  # a dictionary
        return net

    return make_net


main = hydra_command("plan")(plan)

if __name__ == "__main__":
    main()
