"""Finds the runs that the arguments of a command name: folders, sweeps, patterns, tables and W&B paths."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob
from pathlib import Path

from segment.comparison.finished_run import FinishedRun, read_merged_folds, read_run, read_scores_only
from segment.comparison.tested_run import tested_ids, tested_table
from segment.comparison.wandb_runs import WANDB_PATH, fetch
from segment.errors import UserError

TABLE = "cases.csv"  # written by runs and `segment merge`; a file of another name holds scores only


@dataclass(frozen=True)
class Group:
    """Runs that one argument names.

    Attributes:
        name: The argument, shortened by `short_path`.
        runs: At least one.
        is_separate: Whether the runs never share an arm with runs of other arguments: true for those of a sweep folder,
            a pattern or a merged table.
        left_out: A reason for each run that was skipped.
    """

    name: str
    runs: tuple[FinishedRun, ...]
    is_separate: bool
    left_out: tuple[str, ...] = ()


def find_runs(arguments: Sequence[str], scratch: Path) -> list[Group]:
    """Runs that each argument names.

    In a sweep or a pattern, runs that were not tested to the end are skipped. If such a run is named by itself, it is
    an error.

    Args:
        arguments: Run folders, sweep folders, tables (cases.csv), patterns, or W&B paths `entity/project/run_id`.
        scratch: Folder for downloads from W&B.

    Raises:
        UserError: If an argument names no run, a run was not tested, or a run is named twice.
    """
    groups: list[Group] = []
    arguments_of: dict[Path, str] = {}
    for number, argument in enumerate(arguments):
        if not Path(argument).exists() and WANDB_PATH.fullmatch(argument):
            run = replace(read_run(fetch(argument, scratch / str(number)), argument), folder=None)
            groups.append(Group(argument, (run,), is_separate=False))
            continue
        sources = [source for path in _matches(argument) for source in _sources(path)]
        for source in sources:
            earlier = arguments_of.get(source.resolve())
            if earlier is not None:
                msg = f"{short_path(source)} is named twice, by {earlier} and by {argument}; name it once"
                raise UserError(msg)
            arguments_of[source.resolve()] = argument
        groups.append(_group(argument, sources))
    return groups


def short_path(path: Path) -> str:
    """Path without private folders of this machine: relative to the working folder, or the last two parts."""
    working_folder = Path.cwd()
    if path.is_absolute() and path.is_relative_to(working_folder):
        path = path.relative_to(working_folder)
    if path.is_absolute() and len(path.parts) > 3:
        path = Path(*path.parts[-2:])
    return str(path)


def _matches(argument: str) -> list[Path]:
    """Paths that an argument names, in natural order."""
    if Path(argument).exists():
        return [Path(argument)]
    paths = sorted(map(Path, glob(argument)), key=_natural)  # noqa: PTH207  # patterns may be absolute
    if not paths:
        msg = (
            f"no run in {argument}: there is no such file or folder, nor is it a W&B path entity/project/run_id; "
            "check the path"
        )
        raise UserError(msg)
    return paths


def _sources(path: Path) -> list[Path]:
    """Run folders and tables that a path stands for; merged folds of a cross-validation are one table."""
    if path.is_file():
        if path.name == TABLE and (path.parent / "split.json").exists():
            return [path.parent]
        return [path]
    if (path / "split.json").exists():
        return [path]
    runs = _runs_below(path)
    table = path / TABLE
    # The runs of a sweep test the same cases; folds test different ones.
    is_merged = table.exists() and len({tuple(tested_ids(run)) for run in runs}) > 1
    if is_merged:
        return [table]
    return runs


def _runs_below(folder: Path) -> list[Path]:
    """Run folders at the highest level that has any. The third level holds the seeds of the trials of a search."""
    for pattern in ("*/split.json", "*/*/split.json", "*/*/*/split.json"):
        runs = [path.parent for path in folder.glob(pattern)]
        if runs:
            return sorted(runs, key=_natural)
    return []


def _group(argument: str, sources: Sequence[Path]) -> Group:
    runs: list[FinishedRun] = []
    left_out: list[str] = []
    for source in sources:
        try:
            if source.is_dir():
                tested_table(source)
        except UserError as error:
            if len(sources) == 1:
                raise
            left_out.append(str(error).split(";")[0].replace(str(source), short_path(source)))
            continue
        runs.append(_read(source))
    if not runs:
        msg = f"no tested run in {argument}; name run folders, the folder of a sweep, or a cases.csv"
        raise UserError(msg)
    named = (Path(argument), Path(argument).parent)  # the run folder itself, or its cases.csv
    is_separate = len(sources) > 1 or sources[0].is_file() or sources[0] not in named
    return Group(short_path(Path(argument)), tuple(runs), is_separate, tuple(left_out))


def _read(source: Path) -> FinishedRun:
    if source.is_dir():
        return read_run(source, short_path(source))
    # Not deeper: `segment merge 'runs=[a,b]'` writes to the working folder, below which there are other runs.
    folds = [path.parent for path in source.parent.glob("*/split.json")] if source.name == TABLE else []
    if folds:
        return read_merged_folds(source, sorted(folds, key=_natural), short_path(source.parent))
    return read_scores_only(source, short_path(source))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key that orders numbers by value: job 10 follows job 9."""
    key = []
    for part in re.split(r"(\d+)", str(path)):
        number = int(part) if part.isdigit() else -1
        key.append((number, part))
    return key
