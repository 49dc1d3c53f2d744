"""`segment demo`: segment a real CT with the starter weights, then train, test and segment, in a few minutes."""

import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from segment.checkpoint.starter import STARTER
from segment.commands import configured_cases
from segment.configuration.arguments import parse_arguments, quoted
from segment.configuration.composition import check_arguments, compose_config, initialized_hydra
from segment.configuration.values import override_key
from segment.datasets.sources.lidc import Lidc
from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import nan_mean
from segment.runtime.garbage import collect_as_usual


def main() -> None:
    """Segment a real CT with the starter weights, then train as a user would, and compare.

    Arguments are those of the training, which tests its best checkpoint. The real CT comes from a package index.
    Without one, a synthetic CT is used instead, and the starter weights are not shown.
    """
    collect_as_usual()
    words = sys.argv[1:]
    if {"-h", "--help"} & {*words}:
        print("usage: segment demo [overrides of segment train]\n\n" + str(__doc__))
        return
    try:
        config = _config(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    started = time.monotonic()
    folder = Path("outputs/demo") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    best = folder / "train" / "checkpoints" / "best.ckpt"
    cache = _cache_options(config)
    scores = {}
    image = _real_ct(Path(config.cache_dir))
    if image:
        _run("predict", f"input={image}", f"output={folder / 'predict_starter'}")
        scores["real CT, starter weights"] = _score_real(STARTER, folder / "starter", cache)
    _run("train", f"hydra.run.dir={folder / 'train'}", *words)
    tested = folder / "train" / "cases.csv"
    if tested.exists():
        scores["held out"] = tested
    if image:
        scores["real CT"] = _score_real(best, folder / "real", cache)
    image = image or _first_image(config, tested)
    _run("predict", f"ckpt={best}", f"input={image}", f"output={folder / 'predict'}")
    _print_summary(folder, scores, time.monotonic() - started)


def _config(words: list[str]) -> DictConfig:
    """The configuration of the training.

    Raises:
        UserError: When an argument is wrong.
    """
    arguments = parse_arguments(words)
    check_arguments("train", arguments, (), "segment demo trainer.max_epochs=3")
    if any(override_key(word) in ("resume", "from_run") for word in arguments.overrides):
        msg = "segment demo starts a new training; to resume or repeat a run, use segment train"
        raise UserError(msg)
    with initialized_hydra(arguments.value_of("--config-dir")):
        return compose_config("train", arguments.overrides)


def _cache_options(config: DictConfig) -> list[str]:
    """The option that gives an evaluation the cache of the training; none if it has the same by default."""
    with initialized_hydra(None):
        usual = compose_config("evaluate", []).cache_dir
    return [] if config.cache_dir == usual else [f"cache_dir={quoted(config.cache_dir)}"]


def _real_ct(cache_dir: Path) -> Path | None:
    """File of the real CT, downloaded at first use; None, with the reason printed, if that is not possible."""
    try:
        return Lidc(cache_dir / "lidc", {}).cases("lidc")[0].image
    except UserError as error:
        print(f"\nno real CT: {error}\na synthetic CT is used instead", flush=True)
        return None


def _score_real(ckpt: str | Path, folder: Path, cache: list[str]) -> Path:
    """Score a checkpoint on the real CT; returns the file of scores."""
    _run("evaluate", f"ckpt={ckpt}", "data=lidc", "pictures=false", f"hydra.run.dir={folder}", *cache)
    return folder / "cases.csv"


def _run(command: str, *arguments: str) -> None:
    """Run a command in a new process, and exit with its code if it fails."""
    print(f"\n$ segment {command} {shlex.join(arguments)}", flush=True)
    with subprocess.Popen([sys.executable, "-m", f"segment.commands.{command}", *arguments]) as process:
        try:
            code = process.wait()
        except SystemExit:  # this process received a signal, perhaps alone, so pass it on
            process.terminate()
            raise
    if code:
        sys.exit(code)


def _first_image(config: DictConfig, tested: Path) -> Path:
    """The image file of the first tested case, or, with a line that says so, of the first case if none was tested."""
    cases = configured_cases.cases(config.data)
    if not tested.exists():
        print(f"\nno case was tested; {cases[0].id}, which may have trained, is segmented instead", flush=True)
        return cases[0].image
    first = read_cases(tested)[0][0]
    return next(case.image for case in cases if case.id == first)


def _print_summary(folder: Path, scores: dict[str, Path], seconds: float) -> None:
    """Print the Dice scores, the output files and the time."""
    if scores:
        Console().print(_dice_table(scores))
    outputs = {
        "checkpoint": "train/checkpoints/best.ckpt",
        "curves": "train/curves.png",
        "page of the training": "train/index.html",
        "page of the CT": "predict/index.html",
        "scores of each case": "train/cases.csv",
        "pictures of each case": "train/cases/",
        "mask, picture, video and volumes": "predict/",
    }
    outputs["the same by the starter weights"] = "predict_starter/"
    for what, path in outputs.items():
        if not (folder / path).exists():
            continue
        print(f"{what + ':':<34}{folder / path}{'/' if path.endswith('/') else ''}")
    print(f"{'time:':<34}{seconds / 60:.1f} minutes")


def _dice_table(scores: dict[str, Path]) -> Table:
    """Mean Dice of each organ (rows) on each set of CTs (columns)."""
    columns: list[dict[str, list[float]]] = []  # Dice of every case by organ
    organs: dict[str, None] = {}  # a dictionary keeps the order
    for path in scores.values():
        dice: dict[str, list[float]] = {}
        for _, score in read_cases(path):
            dice.setdefault(score.organ, []).append(score.dice)
        columns.append(dice)
        organs |= dict.fromkeys(dice)
    table = Table(title="Dice, means over patients")
    table.add_column("organ")
    for title in scores:
        table.add_column(title, justify="right")
    means = []
    for organ in organs:
        row = [nan_mean(dice.get(organ, [])) for dice in columns]
        table.add_row(organ, *(f"{mean:.3f}" for mean in row))
        means.append(row)
    table.add_section()
    table.add_row("mean", *(f"{nan_mean(column):.3f}" for column in zip(*means, strict=True)))
    return table


if __name__ == "__main__":
    main()
