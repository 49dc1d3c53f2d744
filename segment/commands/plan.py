"""`segment plan`: plan a recipe for a data set, a machine and some hours, and write it as an experiment."""

import json
import shlex
from pathlib import Path
from typing import Any

import psutil
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from torch import nn

from segment.commands.command import hydra_command
from segment.configuration.instantiate import instantiate
from segment.configuration.schema import Plan, Recipe
from segment.configuration.values import config_dir
from segment.data.datamodule import CTDataModule
from segment.errors import UserError
from segment.files import write_text
from segment.plan.cost import MakeNet
from segment.plan.explain import explain
from segment.plan.families import check_net
from segment.plan.fingerprint import Fingerprint, make_fingerprint, read_fingerprint
from segment.plan.machine import Machine, gpu_memory
from segment.plan.plan import plan as make_plan
from segment.runtime.cores import allowed_cores
from segment.runtime.seeding import random_state

OWN = Plan.__annotations__.keys() - Recipe.__annotations__.keys()  # options that training does not have


def plan(cfg: DictConfig) -> None:
    """Plan, write the files and print the plan; or compare two plans.

    Raises:
        UserError: When the data cannot be read, the network cannot be planned, nothing fits, or the plan exists.
    """
    if cfg.explain:
        if len(cfg.explain) != 2:
            msg = f"explain={list(cfg.explain)} must name two plans, e.g. explain=[planned_flare22,planned_btcv]"
            raise UserError(msg)
        print(explain(*(_plan_file(cfg, str(name)) for name in cfg.explain)))
        return
    name = cfg.name or f"planned_{'_'.join(cfg.data.sources)}"
    target = _plan_file(cfg, name)
    _check_target(cfg, name, target)
    check_net(cfg.net)
    machine = _machine(cfg)
    facts = _facts(cfg)
    recipe = make_plan(facts, machine, cfg.hours, cfg.net, _net_maker(cfg, 1 + len(facts.organs)), name)
    write_text(target, recipe.text())
    write_text(Path(cfg.folder) / "fingerprints" / f"{name}.json", json.dumps(facts.plain(), indent=1))
    print(recipe.text())
    print(f"plan: {target}; run it by `{_command(cfg, name)}`")


def _command(cfg: DictConfig, name: str) -> str:
    """The command that runs a plan on the same data; other folders than plans/ must be named."""
    given = HydraConfig.get().overrides.task
    words = [shlex.quote(word) for word in given if word.partition("=")[0] not in OWN]
    folder = [] if Path(cfg.folder) == Path("plans") else [f"--config-dir={cfg.folder}"]
    return " ".join(["segment train", f"experiment={name}", *words, *folder])


def _plan_file(cfg: DictConfig, name: str) -> Path:
    return Path(name) if name.endswith(".yaml") else Path(cfg.folder) / "experiment" / f"{name}.yaml"


def _check_target(cfg: DictConfig, name: str, target: Path) -> None:
    if (Path(config_dir()) / "experiment" / f"{name}.yaml").exists():
        msg = f"name={name} is an experiment that comes with segment; choose another name"
        raise UserError(msg)
    if target.exists() and not cfg.overwrite:
        msg = f"{target} exists; choose another name=, or overwrite=true"
        raise UserError(msg)


def _machine(cfg: DictConfig) -> Machine:
    """The machine that the options name."""
    gpu_gb = gpu_memory(cfg.device) if cfg.device else None
    if not cfg.device and torch.cuda.is_available():
        gpu_gb = round(torch.cuda.get_device_properties(0).total_memory / 1e9)
    return Machine(allowed_cores(), round(psutil.virtual_memory().total / 1e9), gpu_gb)


def _facts(cfg: DictConfig) -> Fingerprint:
    """The fingerprint of the data, or the one that a file holds."""
    if cfg.fingerprint:
        return read_fingerprint(Path(cfg.fingerprint))
    datamodule: CTDataModule = instantiate(cfg.data)
    cases = datamodule.cases
    facts = datamodule.store.facts(cases, datamodule.num_workers)
    patients = len({case.patient for case in cases})
    with_tissues = sum(case.tissues is not None for case in cases)
    return make_fingerprint(_data_choice(), list(facts.values()), patients, datamodule.organs, with_tissues)


def _data_choice() -> str:
    """The value of `data=` in the command that runs the plan, for example `flare22` or `[flare22,btcv]`."""
    given = [word for word in HydraConfig.get().overrides.task if word.startswith("data=")]
    return given[-1].removeprefix("data=") if given else "phantom"


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
