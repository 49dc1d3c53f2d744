"""One real learning curve: `segment curve` predicts the Dice with 40 training CTs from 5, 10 and 20, then 40 train.

    python benchmarks/curve_real.py [--sizes 5 10 20] [--check 40] [--repeats 3] [--epochs 40] [--out FOLDER]

All CTs are synthetic and small; the network is that of `experiment=smoke`. The prediction is what the command writes
before anything was trained with 40 CTs. The same folder is then extended to 40, and the mean Dice of these trainings is
compared with the predicted interval, organ by organ. The measured Dice has an interval of its own, because other
patients and other trainings would give another one; it is printed beside it. How often the interval holds is a question
for many curves, which benchmarks/curve.py simulates.

A second start continues. The defaults take about 25 minutes on one core.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from results import open_record, write_json
from rich.console import Console
from rich.table import Table
from trainings import QUIET

VAL, TEST = 6, 14  # CTs


def main() -> None:
    """Predict, train with more CTs, and compare."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    open_record(out / "curve_real.json", vars(args), free=())
    predicted = out / "predicted.json"
    if not predicted.exists():
        write_json(predicted, run_curve(out, args, args.sizes))
    measured = run_curve(out, args, [*args.sizes, args.check])
    rows = compare(json.loads(predicted.read_text(encoding="utf-8")), measured, args.check)
    write_json(out / "result.json", rows)
    print_rows(rows, args)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/curve_real_benchmark"), help="folder of everything")
    parser.add_argument("--sizes", nargs="+", type=int, default=[5, 10, 20], help="training CTs that predict")
    parser.add_argument("--check", type=int, default=40, help="training CTs that are predicted")
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each size")
    parser.add_argument("--epochs", type=int, default=40, help="of every training")
    parser.add_argument("--patches", type=int, default=32, help="in each epoch")
    parser.add_argument("--data-seed", type=int, default=31, help="of the synthetic CTs")
    return parser.parse_args(arguments)


def run_curve(out: Path, args: argparse.Namespace, sizes: list[int]) -> dict[str, Any]:
    """Run `segment curve`, or resume it, and return its curve.json. Exits if it fails."""
    folder, count = out / "curve", args.check + VAL + TEST
    phantom = {"num_cases": count, "seed": args.data_seed}
    call = [sys.executable, "-m", "segment", "curve", "experiment=smoke", f"cache_dir={out / 'cache'}"]
    call += [f"data.sources.phantom.{key}={value}" for key, value in phantom.items()]
    call += [f"split.val={VAL / count}", f"split.test={TEST / count}", f"data.patches_per_epoch={args.patches}"]
    call += [f"trainer.max_epochs={args.epochs}", "optimizer.lr=0.01", f"repeats={args.repeats}", f"sizes={sizes}"]
    call += [*(option for option in QUIET if option != "test=false"), f"hydra.run.dir={folder}", "resume=true"]
    print(f"training with {', '.join(map(str, sizes))} CTs …", flush=True)
    with (out / "curve_real.log").open("a", encoding="utf-8") as log:
        done = subprocess.run(call, stdout=log, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.exit(f"segment curve failed with exit code {done.returncode}; see {out / 'curve_real.log'}")
    curve = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
    if curve["have"] != args.check or curve["finished"] < len(sizes) * args.repeats:
        sys.exit(
            f"{curve['have']} CTs can train, and {curve['finished']} of {len(sizes) * args.repeats} trainings have "
            f"finished; needed are {args.check} CTs and all trainings: see {folder}, and start again"
        )
    return dict(curve)


def compare(predicted: dict[str, Any], measured: dict[str, Any], check: int) -> list[dict[str, Any]]:
    """For each organ the predicted interval and the measured Dice; `held` is None if there is no curve."""
    rows = []
    for before, after in zip(predicted["organs"], measured["organs"], strict=True):
        expected, found = before["predicted"].get(str(check)), after["measured"].get(str(check))
        known = expected is not None and found is not None
        held = expected["low"] <= found["value"] <= expected["high"] if known else None
        row = {"organ": before["organ"], "sentence": before["sentence"], "held": held}
        rows.append(row | {"trained": before["measured"], "predicted": expected, "measured": found})
    return rows


def print_rows(rows: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Print the comparison, and what `segment curve` answered."""
    sizes = [str(size) for size in args.sizes]
    columns = ("organ", *sizes, f"predicted for {args.check}", f"measured with {args.check}", "held")
    table = Table(*columns, title=f"Dice by number of training CTs, and its prediction for {args.check}")
    for row in rows:
        trained = [f"{row['trained'][size]['value']:.3f}" if size in row["trained"] else "-" for size in sizes]
        held = {True: "yes", False: "no", None: "no curve"}[row["held"]]
        table.add_row(row["organ"], *trained, _words(row["predicted"]), _words(row["measured"]), held)
    Console(width=150).print(table)
    for row in rows:
        print(row["sentence"])


def _words(estimate: dict[str, float] | None) -> str:
    return "-" if estimate is None else f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


if __name__ == "__main__":
    main()
