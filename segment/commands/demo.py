"""`segment demo`: train on synthetic CTs, score held-out ones, and segment a real CT, in a few minutes."""

import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from segment import build
from segment.configuration.values import config_dir
from segment.datasets.sources.lidc import Lidc
from segment.errors import UserError
from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import nan_mean

DATA_OPTIONS = ("data=", "data.sources.", "cache_dir=")  # overrides that training and evaluation share


def main() -> None:
    """Run `segment train`, `evaluate` and `predict`, as a user would.

    Arguments are overrides of the training; those that select data are passed to the evaluation, too. The real CT comes
    from a package index. Without one, a synthetic CT is used instead.
    """
    overrides = sys.argv[1:]
    if {"-h", "--help"} & {*overrides}:
        print("usage: segment demo [overrides of segment train]\n\n" + str(__doc__))
        return
    started = time.monotonic()
    folder = Path("outputs/demo") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    best = folder / "train" / "checkpoints" / "best.ckpt"
    _run("train", f"hydra.run.dir={folder / 'train'}", "test=false", *overrides)
    data_options = [override for override in overrides if override.startswith(DATA_OPTIONS)]
    _run("evaluate", f"ckpt={best}", f"hydra.run.dir={folder / 'evaluate'}", *data_options)
    with initialize_config_dir(config_dir(), version_base="1.3"):
        config = compose("evaluate", data_options)
    scores = {"synthetic, held out": folder / "evaluate" / "cases.csv"}
    try:
        image = Lidc(Path(config.cache_dir) / "lidc", {}).cases("lidc")[0].image
    except UserError as error:
        print(f"\nno real CT: {error}\na synthetic CT is used instead", flush=True)
        image = _held_out(config, scores["synthetic, held out"])
    else:
        cache = [override for override in data_options if override.startswith("cache_dir=")]
        _run("evaluate", f"ckpt={best}", "data=lidc", "pictures=false", f"hydra.run.dir={folder / 'real'}", *cache)
        scores["real, one CT"] = folder / "real" / "cases.csv"
    _run("predict", f"ckpt={best}", f"input={image}", f"output={folder / 'predict'}")
    _print_summary(folder, scores, time.monotonic() - started)


def _run(command: str, *arguments: str) -> None:
    """Run a command in a new process, and exit with its code if it fails."""
    print(f"\n$ segment {command} {' '.join(arguments)}", flush=True)
    with subprocess.Popen([sys.executable, "-m", f"segment.commands.{command}", *arguments]) as process:
        try:
            code = process.wait()
        except SystemExit:  # this process received a signal, perhaps alone, so pass it on
            process.terminate()
            raise
    if code:
        sys.exit(code)


def _held_out(config: DictConfig, scores: Path) -> Path:
    """The image file of the first scored case."""
    scored = read_cases(scores)[0][0]
    return next(case.image for case in build.cases(config.data) if case.id == scored)


def _print_summary(folder: Path, scores: dict[str, Path], seconds: float) -> None:
    """Print the Dice scores, the output files and the time."""
    Console().print(_dice_table(scores))
    outputs = {
        "checkpoint": "train/checkpoints/best.ckpt",
        "curves": "train/metrics.csv",
        "scores of each case": "evaluate/cases.csv",
        "pictures and videos": "evaluate/cases/",
        "mask, picture, video and volumes": "predict/",
    }
    for what, path in outputs.items():
        print(f"{what + ':':<33}{folder / path}{'/' if path.endswith('/') else ''}")
    print(f"{'time:':<33}{seconds / 60:.1f} minutes")


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
