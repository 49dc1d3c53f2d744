"""What a finished run tells about itself."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.comparison.merge import read_facts, read_scores, tested_table
from segment.errors import UserError
from segment.metrics.scores import OrganScore
from segment.run.folder import ENVIRONMENT, code_name, processes_of
from segment.run.recipe import read_config, shared_config

Cases = Mapping[str, Mapping[str, OrganScore]]


@dataclass(frozen=True)
class TrainedPart:
    """Case ids of one training: those it was trained or selected on, and those it tested."""

    seen: frozenset[str]
    test: frozenset[str]


@dataclass(frozen=True)
class FinishedRun:
    """A tested run, or the folds of a cross-validation merged into one.

    Attributes:
        name: How the user called it.
        cases: Scores by case and organ.
        parts: One for a run, one for each fold of merged ones.
        config: Dotted keys and their values; empty where unknown.
        code: Commit, and whether it was changed, of every process in turn; empty where unknown.
        voxels: Hash of the CT by case id; empty where the run did not record it.
        patients: By id of a case whose patient has several: the first of them. Any other case is a patient.
        parameters: Of the network; None where unknown, as in evaluations.
        hours: Of training and test, of all folds; None where unknown.
    """

    name: str
    cases: Cases
    parts: tuple[TrainedPart, ...]
    config: Mapping[str, Any]
    code: str
    voxels: Mapping[str, str]
    patients: Mapping[str, str]
    parameters: int | None = None
    hours: float | None = None

    @property
    def seed(self) -> Any:  # noqa: ANN401  # whatever config.yaml holds
        """Of the run; None where unknown."""
        return self.config.get("seed")

    @property
    def organs(self) -> list[str]:
        """In the table's order."""
        return list(dict.fromkeys(organ for scores in self.cases.values() for organ in scores))

    @property
    def seen(self) -> frozenset[str]:
        """Cases that any part was trained or selected on."""
        return frozenset().union(*(part.seen for part in self.parts))


def read_run(folder: Path, name: str) -> FinishedRun:
    """Read a run folder.

    Raises:
        UserError: When it was not tested to the end, or a file cannot be read.
    """
    split = read_facts(folder / "split.json")
    table = tested_table(folder)
    facts = read_facts(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else {}
    processes = processes_of(facts)
    last = processes[-1]
    config = _of_training(read_config(folder), last.get("trained", []))
    if config.get("include_trained"):
        msg = f"{name} was scored with include_trained=true, also on cases that it was trained on; evaluate it without"
        raise UserError(msg)
    seen = frozenset(split.get("train", [])) | frozenset(split.get("val", []))
    cases = read_table(table)
    code = " then ".join(dict.fromkeys(map(code_name, processes)))
    parts = (TrainedPart(seen, frozenset(cases)),)
    parameters = last.get("parameters")  # recorded by training alone; the hours of others are not those of a recipe
    hours = math.fsum(facts.get("hours", 0.0) for facts in processes) if parameters is not None else None
    voxels, patients = last.get("cases", {}), last.get("patients", {})
    return FinishedRun(name, cases, parts, config, code, voxels, patients, parameters, hours)


def read_folds(table: Path, folders: Iterable[Path], name: str) -> FinishedRun:
    """Read the merged table of a cross-validation, and what its folds tell.

    Raises:
        UserError: When a fold was not tested to the end, the table is not that of the folds, or they are of several
            recipes.
    """
    folds = [read_run(folder, f"{name}/{folder.name}") for folder in folders]
    cases = read_table(table)
    if cases.keys() != {case for fold in folds for case in fold.cases}:
        msg = (
            f"{table} has other cases than the runs beside it; merge them again: segment merge runs={table.parent} "
            "overwrite=true"
        )
        raise UserError(msg)
    config = shared_config({fold.name: fold.config for fold in folds})
    voxels = {case: content for fold in folds for case, content in fold.voxels.items()}
    patients = {case: first for fold in folds for case, first in fold.patients.items()}
    parts = tuple(part for fold in folds for part in fold.parts)
    known = [fold.hours for fold in folds if fold.hours is not None]
    hours = math.fsum(known) if len(known) == len(folds) else None
    return FinishedRun(name, cases, parts, config, folds[0].code, voxels, patients, folds[0].parameters, hours)


def read_alone(table: Path, name: str) -> FinishedRun:
    """Read a cases.csv of which nothing else is known."""
    cases = read_table(table)
    return FinishedRun(name, cases, (TrainedPart(frozenset(), frozenset(cases)),), {}, "", {}, {})


def read_table(path: Path) -> Cases:
    """Scores of a cases.csv by case and organ.

    Raises:
        UserError: When it cannot be read, is empty, or lacks an organ of a case.
    """
    cases: dict[str, dict[str, OrganScore]] = {}
    for case, score in read_scores(path):
        cases.setdefault(case, {})[score.organ] = score
    if not cases:
        msg = f"{path} has no case; compare a run that was tested"
        raise UserError(msg)
    organs = next(iter(cases.values())).keys()
    if torn := next((case for case, scores in cases.items() if scores.keys() != organs), None):
        msg = f"{path} scores {', '.join(organs)}, but not for {torn}; score its checkpoint again by segment evaluate"
        raise UserError(msg)
    return cases


def _of_training(config: dict[str, Any], recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The configuration of an evaluation with recipe and seed of its checkpoint in place of the checkpoint's name.

    Ensembles, and checkpoints that do not tell their recipe, are known by their content.
    """
    if len(recipes) != 1 or not recipes[0]:
        return config
    own = {key: value for key, value in config.items() if key not in ("ckpt", "ckpt_sha256")}
    training = {f"trained.{key}": value for key, value in recipes[0].items() if key != "seed"}
    return own | training | {"seed": recipes[0].get("seed")}
