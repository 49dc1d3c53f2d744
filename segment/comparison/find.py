"""From what a user names to runs: folders, sweeps, patterns, tables, W&B paths."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from segment.comparison.finished_run import FinishedRun, read_alone, read_folds, read_run
from segment.comparison.merge import tested_ids, tested_table
from segment.comparison.wandb_runs import WANDB_PATH, fetch
from segment.errors import UserError

TABLE = "cases.csv"  # what runs and merging call it; other files are only tables


@dataclass(frozen=True)
class Group:
    """What one argument names.

    Attributes:
        name: The argument, as it may be shown.
        runs: At least one.
        is_apart: Whether its runs keep to themselves: those of a sweep folder, a pattern or a merged table.
        left_out: What was passed over, and why.
    """

    name: str
    runs: tuple[FinishedRun, ...]
    is_apart: bool
    left_out: tuple[str, ...] = ()


def find_runs(arguments: Sequence[str], scratch: Path) -> list[Group]:
    """The runs that each argument names.

    Of a sweep or a pattern, runs that were not tested to the end are passed over; one that is named alone is refused.

    Args:
        arguments: Run folders, sweep folders, tables (cases.csv), patterns, or W&B paths `entity/project/run_id`.
        scratch: A folder for what is fetched from W&B.

    Raises:
        UserError: When an argument names no run, a run was not tested, or one is named twice.
    """
    groups: list[Group] = []
    owners: dict[Path, str] = {}
    for number, argument in enumerate(arguments):
        if not Path(argument).exists() and WANDB_PATH.fullmatch(argument):
            folder = fetch(argument, scratch / str(number))
            groups.append(Group(argument, (read_run(folder, argument),), is_apart=False))
            continue
        units = [unit for place in _places(argument) for unit in _units(place)]
        for unit in units:
            if owner := owners.get(unit.resolve()):
                msg = f"{shown(unit)} is named twice, by {owner} and by {argument}; name it once"
                raise UserError(msg)
            owners[unit.resolve()] = argument
        groups.append(_group(argument, units))
    return groups


def shown(path: Path) -> str:
    """The path as it may be handed on: of an absolute one the last two names, which tell nothing about the machine."""
    here = Path.cwd()
    if path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return str(Path(*path.parts[-2:]) if path.is_absolute() and len(path.parts) > 3 else path)


def _places(argument: str) -> list[Path]:
    matches = [argument] if Path(argument).exists() else glob(argument)  # noqa: PTH207  # patterns may be absolute
    found = sorted(map(Path, matches), key=_natural)
    if not found:
        msg = (
            f"no run in {argument}: there is no such file or folder, nor is it a W&B path entity/project/run_id; "
            "check the path"
        )
        raise UserError(msg)
    return found


def _units(place: Path) -> list[Path]:
    """Run folders, or the one merged table of a cross-validation's folds."""
    if place.is_file():
        return [place.parent] if place.name == TABLE and (place.parent / "split.json").exists() else [place]
    if (place / "split.json").exists():
        return [place]
    runs = _runs_below(place)
    table = place / TABLE
    is_merged = table.exists() and len({tuple(tested_ids(run)) for run in runs}) > 1
    return [table] if is_merged else runs


def _runs_below(folder: Path) -> list[Path]:
    for pattern in ("*/split.json", "*/*/split.json", "*/*/*/split.json"):  # the last: seeds of a search's trials
        if found := [path.parent for path in folder.glob(pattern)]:
            return sorted(found, key=_natural)
    return []


def _group(argument: str, units: Iterable[Path]) -> Group:
    units = list(units)
    runs: list[FinishedRun] = []
    left_out: list[str] = []
    for unit in units:
        try:
            if unit.is_dir():
                tested_table(unit)
        except UserError as error:
            if len(units) == 1:
                raise
            left_out.append(str(error).split(";")[0])
            continue
        runs.append(_read(unit))
    if not runs:
        msg = f"no tested run in {argument}; name run folders, the folder of a sweep, or a cases.csv"
        raise UserError(msg)
    is_apart = len(units) > 1 or units[0].is_file()
    return Group(shown(Path(argument)), tuple(runs), is_apart, tuple(left_out))


def _read(unit: Path) -> FinishedRun:
    if unit.is_dir():
        return read_run(unit, shown(unit))
    folds = _runs_below(unit.parent) if unit.name == TABLE else []
    return read_folds(unit, folds, shown(unit.parent)) if folds else read_alone(unit, shown(unit))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Order in which job 10 follows job 9."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", str(path))]
