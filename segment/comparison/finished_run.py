"""Reads a finished run: its scores, configuration, training cases and cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment.comparison.merge_cases import merge_cases
from segment.comparison.tested_run import read_json, read_scores, tested_table
from segment.errors import UserError
from segment.metrics.scores import OrganScore
from segment.run.folder import ENVIRONMENT, code_name, process_records, resources_used
from segment.run.recipe import read_config, shared_config

Cases = Mapping[str, Mapping[str, OrganScore]]


@dataclass(frozen=True)
class TrainedPart:
    """Case ids of one training: those that it was trained or selected on, and those that it tested."""

    seen: frozenset[str]
    test: frozenset[str]


@dataclass(frozen=True)
class FinishedRun:
    """A tested run, or the merged folds of a cross-validation.

    Attributes:
        name: As the user wrote it.
        cases: Scores by case and organ.
        parts: One for a run, one for each of merged folds.
        config: Dotted keys and their values; empty if unknown.
        code: Commit of each process, with a mark for uncommitted changes; empty if unknown.
        voxels: Hash of the CT by case id; empty if the run did not record it.
        patients: First case of the patient by case id, for patients with several cases. Every other case is a patient
            of its own.
        parameters: Number of parameters of the network; None if unknown, as for evaluations.
        hours: Hours of training and test, summed over folds; None if unknown.
        checkpoint: SHA-256 of the checkpoint, if one was evaluated; empty for a training.
        folder: The run folder, or that of the folds; None for a table without one.
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
    checkpoint: str = ""
    folder: Path | None = None

    @property
    def seed(self) -> Any:  # noqa: ANN401  # whatever config.yaml holds
        """Seed of the run; None if unknown."""
        return self.config.get("seed")

    @property
    def organs(self) -> list[str]:
        """Organs in the order of the table."""
        return list(dict.fromkeys(organ for scores in self.cases.values() for organ in scores))

    @property
    def seen(self) -> frozenset[str]:
        """Cases that any part was trained or selected on."""
        return frozenset().union(*(part.seen for part in self.parts))


def read_run(folder: Path, name: str) -> FinishedRun:
    """Read a run folder.

    Raises:
        UserError: If the run was not tested to the end, or a file cannot be read.
    """
    split = read_json(folder / "split.json")
    table = tested_table(folder)
    environment: dict[str, Any] = {}
    if (folder / ENVIRONMENT).exists():
        environment = read_json(folder / ENVIRONMENT)
    processes = process_records(environment)
    last = processes[-1]
    config = read_config(folder)
    checkpoint = str(config.get("ckpt_sha256", ""))
    config = _with_training_recipe(config, last.get("trained", []))
    if config.get("include_trained"):
        msg = (
            f"{name} was scored with include_trained=true, so also on cases that it was trained on; evaluate it again "
            "without this option"
        )
        raise UserError(msg)
    seen = frozenset(split.get("train", [])) | frozenset(split.get("val", []))
    cases = read_table(table)
    parameters = last.get("parameters")
    hours = None
    if parameters is not None:  # recorded by training only; the hours of an evaluation are not a cost of the recipe
        hours = resources_used(processes).get("hours", 0.0)
    return FinishedRun(
        name=name,
        cases=cases,
        parts=(TrainedPart(seen, frozenset(cases)),),
        config=config,
        code=" then ".join(dict.fromkeys(map(code_name, processes))),
        voxels=last.get("cases", {}),
        patients=last.get("patients", {}),
        parameters=parameters,
        hours=hours,
        checkpoint=checkpoint,
        folder=folder,
    )


def read_merged_folds(table: Path, folders: Sequence[Path], name: str) -> FinishedRun:
    """Read the merged table of a cross-validation and the run folders of its folds.

    Raises:
        UserError: If a fold was not tested to the end, the table does not hold the folds' scores, or the folds have
            different recipes.
    """
    folds = [read_run(folder, f"{name}/{folder.name}") for folder in folders]
    cases = read_table(table)
    merged = merge_cases([tested_table(folder) for folder in folders])
    again = {case: {score.organ: score for score in scores} for case, scores in merged.items()}
    if _as_text(cases) != _as_text(again):
        msg = (
            f"{table} has other scores than the runs beside it; merge them again: segment merge runs={table.parent} "
            "overwrite=true"
        )
        raise UserError(msg)
    voxels: dict[str, str] = {}
    patients: dict[str, str] = {}
    for fold in folds:
        voxels.update(fold.voxels)
        patients.update(fold.patients)
    known_hours = [fold.hours for fold in folds if fold.hours is not None]
    return FinishedRun(
        name=name,
        cases=cases,
        parts=tuple(part for fold in folds for part in fold.parts),
        config=shared_config({fold.name: fold.config for fold in folds}),
        code=folds[0].code,
        voxels=voxels,
        patients=patients,
        parameters=folds[0].parameters,
        hours=math.fsum(known_hours) if len(known_hours) == len(folds) else None,
        folder=table.parent,
    )


def read_scores_only(table: Path, name: str) -> FinishedRun:
    """Read a table of scores that has no run folder. Configuration, seed and training cases are unknown."""
    cases = read_table(table)
    part = TrainedPart(frozenset(), frozenset(cases))
    return FinishedRun(name, cases, (part,), config={}, code="", voxels={}, patients={})


def read_table(path: Path) -> Cases:
    """Scores of a cases.csv by case and organ.

    Raises:
        UserError: If the table cannot be read, is empty, or lacks an organ for some case.
    """
    cases: dict[str, dict[str, OrganScore]] = {}
    for case, score in read_scores(path):
        cases.setdefault(case, {})[score.organ] = score
    if not cases:
        msg = f"{path} has no case; compare a run that was tested"
        raise UserError(msg)
    organs = next(iter(cases.values())).keys()
    for case, scores in cases.items():
        if scores.keys() != organs:
            msg = (
                f"{path} scores {', '.join(organs)}, but not for {case}; score its checkpoint again with "
                "segment evaluate"
            )
            raise UserError(msg)
    return cases


def _as_text(cases: Cases) -> dict[str, dict[str, str]]:
    """The scores as text, because NaN is not equal to NaN."""
    return {case: {organ: repr(score) for organ, score in scores.items()} for case, scores in cases.items()}


def _with_training_recipe(config: dict[str, Any], recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Configuration of an evaluation, with the recipe and seed of the checkpoint in place of its file name and hash.

    The configuration of a training is returned unchanged. So is that of an evaluation of an ensemble, or of a
    checkpoint without a recorded recipe: there the hashes of the checkpoints show what was evaluated.
    """
    if len(recipes) != 1 or not recipes[0]:
        return config
    evaluation = {key: value for key, value in config.items() if key not in ("ckpt", "ckpt_sha256")}
    training = {f"trained.{key}": value for key, value in recipes[0].items() if key != "seed"}
    return evaluation | training | {"seed": recipes[0].get("seed")}
