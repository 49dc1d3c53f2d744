"""Whether it pays to annotate the CTs that `segment curve rank=` puts first.

    python benchmarks/rank.py evidence [--checkpoint starter] [--cts 39] [--out FOLDER]
    python benchmarks/rank.py trainings [--worlds 6] [--choose 6] [--draws 2] [--out FOLDER]

`evidence` needs no training: it ranks synthetic trunks and compares the ranking with their true Dice, see
rank_evidence.py. With the starter weights it takes minutes; the default trunks have the seed of the report card, which
neither training nor calibration saw.

`trainings` compares the first CTs of the ranking with as many random ones. A *world* has a few labelled CTs of the
abdomen and a pool without labels. Half of the patients in the pool are of the same kind, and each of them has `--scans`
scans, which differ by noise; the others are scans of other parts of the trunk. A small network is trained on the
labelled CTs and ranks the pool, without a calibration. Then networks are trained from scratch, for equally many steps,
on the labelled CTs and those that were chosen: once by the ranking, and `--draws` times at random. All are scored on
held-out CTs, half of which are of the abdomen. The result is the difference in Dice, with an interval over the worlds.

Everything that is done is kept in the folder, and a second start continues. The defaults take about 75 minutes on one
core. Difference and interval say whether the ranking helps on data with such redundancy, and nothing about other data.
"""

import argparse
import csv
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rank_evidence import evidence
from rank_worlds import World, held_out, make_world
from results import HELD_OUT, Row, mean_dice, open_record, print_table, write_json, write_rows
from scipy import stats
from trainings import train_and_score

from segment.datasets.cases import Case
from segment.phantom import LABELS

CONFIDENCE = 0.9
CODES = "{" + ",".join(f"{organ}:{code}" for organ, code in LABELS.items()) + "}"


def main() -> None:
    """Run one of the two parts."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    if args.part == "evidence":
        shape = args.shape or [128, 128, 112]
        seed = 202 if args.data_seed is None else args.data_seed
        evidence(args.checkpoint, args.cache.resolve() / "phantom", out, seed, args.cts, shape)
        return
    record = {key: value for key, value in vars(args).items() if key not in ("part", "checkpoint", "cts")}
    open_record(out / "rank.json", record, free=("worlds", "draws"))
    scored, rows = held_out(out, args), []
    for number in range(1, args.worlds + 1):
        rows += run_world(make_world(out, number, args), number, args, scored)
        write_rows(out / "rank.csv", rows)
        report(out, rows)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("evidence", "trainings"))
    parser.add_argument("--out", type=Path, default=Path("outputs/rank_benchmark"), help="folder of everything")
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"), help="of the trunks of evidence")
    parser.add_argument("--checkpoint", default="starter", help="of evidence")
    parser.add_argument("--cts", type=int, default=39, help="trunks of evidence")
    parser.add_argument("--worlds", type=int, default=6, help="labelled sets and pools")
    parser.add_argument("--labelled", type=int, default=3, help="CTs that train from the start")
    parser.add_argument("--val", type=int, default=4, help="CTs that validate")
    parser.add_argument("--patients", type=int, default=12, help="in the pool")
    parser.add_argument("--scans", type=int, default=5, help="of each patient of the common kind in the pool")
    parser.add_argument("--choose", type=int, default=6, help="CTs to annotate")
    parser.add_argument("--draws", type=int, default=2, help="random choices in each world")
    parser.add_argument("--held-out", type=int, default=20, help="CTs that score")
    parser.add_argument("--epochs", type=int, default=80, help="of every training")
    parser.add_argument("--patches", type=int, default=32, help="in each epoch")
    parser.add_argument("--data-seed", type=int, default=None, help="of the synthetic CTs")
    parser.add_argument("--shape", nargs=3, type=int, default=None, help="voxels of a synthetic CT")
    return parser.parse_args(arguments)


def run_world(world: World, number: int, args: argparse.Namespace, scored: Sequence[Case]) -> list[Row]:
    """Train on the labelled CTs, rank the pool, and train on the ranked and on the random CTs."""

    def train(name: str, row: str, draw: int, chosen: Sequence[str]) -> list[Row]:
        parts = {"train": [*world.labelled, *chosen], "val": world.val, "test": []}
        split = world.folder / f"{name}.json"
        write_json(split, {part: [f"folder/{one}" for one in names] for part, names in parts.items()})
        overrides = [*_overrides(world.folder, args, draw), "split=file", f"split.path={split}"]
        which = {"row": row, "world": number, "draw": draw}
        return train_and_score(world.folder / name, overrides, {HELD_OUT: scored}, which)

    rows = train("start", "labelled CTs only", 0, [])
    rows += train(f"ranked_{args.choose}", "and ranked", 0, _ranked(world.folder)[: args.choose])
    for draw in range(args.draws):
        random = np.random.default_rng([number, draw]).permutation(world.pool)[: args.choose]
        rows += train(f"random{draw}_{args.choose}", "and random", draw, random.tolist())
    return rows


def _overrides(folder: Path, args: argparse.Namespace, seed: int) -> list[str]:
    data = ["data=folder", f"data.sources.folder.root={folder / 'all'}", f"data.sources.folder.label_codes={CODES}"]
    length = [f"trainer.max_epochs={args.epochs}", f"data.patches_per_epoch={args.patches}", "optimizer.lr=0.01"]
    return ["experiment=smoke", *data, *length, f"seed={seed}", f"cache_dir={folder / 'cache'}"]


def _ranked(folder: Path) -> list[str]:
    """Names of the CTs of the pool, as `segment curve rank=` orders them."""
    table = folder / "ranking" / "rank.csv"
    if not table.exists():
        shutil.rmtree(table.parent, ignore_errors=True)
        codes = f"data.sources.folder.label_codes={CODES}"
        call = [sys.executable, "-m", "segment", "curve", f"rank={folder / 'pool' / 'images'}", f"cache_dir={folder}"]
        call += [f"ckpt={folder / 'start' / 'run' / 'checkpoints' / 'best.ckpt'}", f"hydra.run.dir={table.parent}"]
        call += ["data=folder", f"data.sources.folder.root={folder / 'labelled'}", codes]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"ranking {folder} failed:\n{done.stderr}")
    with table.open(encoding="utf-8", newline="") as file:
        return [row["file"].removesuffix(".nii.gz") for row in csv.DictReader(file)]


def report(out: Path, rows: Sequence[Row]) -> None:
    """Print the mean Dice, and the difference between ranked and random choice with its interval over the worlds."""
    print_table("Dice on held-out CTs", rows, ("row",))
    means = {key: dice["mean"] for key, dice in mean_dice(rows, ("world", "row", "draw")).items()}
    differences = []
    for world in sorted({key[0] for key in means}):
        random = [value for (of, row, _), value in means.items() if (of, row) == (world, "and random")]
        differences.append(means[world, "and ranked", 0] - float(np.mean(random)))
    mean, count = float(np.mean(differences)), len(differences)
    words = ", ".join(f"{one:+.3f}" for one in differences)
    print(f"ranked - random in each world: {words}; mean {mean:+.3f}")
    result = {"differences": differences, "mean": mean}
    if count > 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.std(differences, ddof=1) / np.sqrt(count))
        print(f"{CONFIDENCE:.0%} interval over {count} worlds: {mean - half:+.3f} to {mean + half:+.3f}")
        result |= {"low": mean - half, "high": mean + half}
    write_json(out / "result.json", result)


if __name__ == "__main__":
    main()
