"""`segment demo`: train on synthetic CTs, score held-out ones, segment a real CT, in minutes."""

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

OF_DATA = ("data=", "data.sources.", "cache_dir=")  # overrides that training and evaluation share


def main() -> None:
    """Run the commands one after the other, as a user would.

    Arguments are overrides of the training; those that choose data go to the evaluation as well. Without a package
    index a synthetic CT stands in for the real one.
    """
    overrides = sys.argv[1:]
    if {"-h", "--help"} & {*overrides}:
        print("usage: segment demo [overrides of segment train]\n\n" + str(__doc__))
        return
    started = time.monotonic()
    folder = Path("outputs/demo") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    best = folder / "train" / "checkpoints" / "best.ckpt"
    _run("train", f"hydra.run.dir={folder / 'train'}", "test=false", *overrides)
    of_data = [override for override in overrides if override.startswith(OF_DATA)]
    _run("evaluate", f"ckpt={best}", f"hydra.run.dir={folder / 'evaluate'}", *of_data)
    with initialize_config_dir(config_dir(), version_base="1.3"):
        config = compose("evaluate", of_data)
    scores = {"synthetic, held out": folder / "evaluate" / "cases.csv"}
    try:
        image = Lidc(Path(config.cache_dir) / "lidc", {}).cases("lidc")[0].image
    except UserError as error:
        print(f"\nno real CT: {error}\na synthetic one takes its place", flush=True)
        image = _held_out(config, scores["synthetic, held out"])
    else:
        cache = [override for override in of_data if override.startswith("cache_dir=")]
        _run("evaluate", f"ckpt={best}", "data=lidc", "pictures=false", f"hydra.run.dir={folder / 'real'}", *cache)
        scores["real, one CT"] = folder / "real" / "cases.csv"
    _run("predict", f"ckpt={best}", f"input={image}", f"output={folder / 'predict'}")
    _close(folder, scores, time.monotonic() - started)


def _run(command: str, *arguments: str) -> None:
    """One command in a process of its own; ends this one where that one fails."""
    print(f"\n$ segment {command} {' '.join(arguments)}", flush=True)
    with subprocess.Popen([sys.executable, "-m", f"segment.commands.{command}", *arguments]) as process:
        try:
            code = process.wait()
        except SystemExit:  # a signal, of which the command may know nothing yet; the block's end waits for it
            process.terminate()
            raise
    if code:
        sys.exit(code)


def _held_out(config: DictConfig, scores: Path) -> Path:
    """The CT of the first case that was scored."""
    scored = read_cases(scores)[0][0]
    return next(case.image for case in build.cases(config.data) if case.id == scored)


def _close(folder: Path, scores: dict[str, Path], seconds: float) -> None:
    """Print the Dice of every organ on every set, and where everything is."""
    columns = {title: read_cases(path) for title, path in scores.items()}
    organs = list(dict.fromkeys(score.organ for rows in columns.values() for _, score in rows))
    table = Table(title="Dice, means over patients")
    table.add_column("organ")
    for title in columns:
        table.add_column(title, justify="right")
    means = [[nan_mean(s.dice for _, s in rows if s.organ == organ) for rows in columns.values()] for organ in organs]
    for organ, row in zip(organs, means, strict=True):
        table.add_row(organ, *(f"{mean:.3f}" for mean in row))
    table.add_section()
    table.add_row("mean", *(f"{nan_mean(column):.3f}" for column in zip(*means, strict=True)))
    Console().print(table)
    made = {
        "checkpoint": "train/checkpoints/best.ckpt",
        "curves": "train/metrics.csv",
        "scores of each case": "evaluate/cases.csv",
        "pictures and videos": "evaluate/cases/",
        "mask, picture, video and volumes": "predict/",
    }
    for what, place in made.items():
        print(f"{what + ':':<33}{folder / place}{'/' if place.endswith('/') else ''}")
    print(f"{'time:':<33}{seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
