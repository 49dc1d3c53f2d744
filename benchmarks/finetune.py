"""What the starter weights are worth to a user with a handful of labelled CTs, against training from scratch.

    python benchmarks/finetune.py [--train 1 2 4 8] [--steps 240] [--seeds 0] [--case CT LABEL CODES] [--out FOLDER]

Both train with `experiment=finetune` for the same steps on the same cases: once with `init_from=starter`, once without.
With more cases, those of the smaller sets are kept. The starter weights as they come are scored, too. By default all
cases are synthetic, of a generator seed that the starter weights have not seen, which flatters them: they have learnt
from other patients of the same generator. The scores on real CTs do not.

Cases of your own: `--data` takes overrides of `segment train`, for example `--data data=flare22`. Patients that
validate and that are held out are chosen at random, the others train. `--pool` names the cases that may train by the
start of their id; `--data 'data=[flare22,labelmaps]' --pool labelmaps/` trains on CTs that were made from label maps. A
real CT whose label map trains is not unseen: do not read its score.

The same few cases validate in all trainings and choose the epoch; they are not counted among the training cases.
Everything that is done is kept in the folder, and a second start continues.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from real_ct import add_arguments, real_cases
from results import HELD_OUT, Row, draw_curves, open_record, print_table, write_json, write_rows
from trainings import add_scores, train_and_score

from segment.commands import configured_cases
from segment.configuration.values import config_dir
from segment.datasets.cases import Case

STARTS = {"starter": "starter", "scratch": "null"}
EPOCHS, BATCH = 8, 2  # of experiment=finetune


def main() -> None:
    """Train, score, and print the table."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    record = open_record(out / "finetune.json", vars(args), free=("seeds",))
    data = [*(args.data or synthetic(args)), f"cache_dir={args.cache.resolve()}"]
    with initialize_config_dir(config_dir(), version_base="1.3"):
        cases = configured_cases.cases(compose("train", data).data)
    split = choose(cases, max(args.train), args.val, args.held_out, args.pool, args.data_seed)
    write_json(out / "finetune.json", record | {"split": split})
    by_id = {case.id: case for case in cases}
    scored = {HELD_OUT: [by_id[name] for name in split["test"]]}
    scored |= {case.id.rpartition("/")[2]: [case] for case in real_cases(args.cache, args.case)}
    names: Row = {"start": "starter, as it is", "training_cases": 0, "seed": 0}
    rows = add_scores(out / "starter.csv", "starter", scored, names)
    for seed in args.seeds:
        for number in args.train:
            for start in STARTS:
                rows += run(out, data, split, (start, number, seed), args, scored)
                write_rows(out / "finetune.csv", rows)
    print_table(f"Dice after {args.steps} steps, by number of training cases", rows, ("start", "training_cases"))
    draw_curves(out / "finetune.png", rows, "start", "training_cases", "training cases")
    print(f"{out}: finetune.csv, finetune.json, finetune.png")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/finetune_benchmark"), help="folder of everything")
    parser.add_argument("--train", nargs="+", type=int, default=[1, 2, 4, 8], help="numbers of training cases")
    parser.add_argument("--steps", type=int, default=240, help="optimizer steps of every training")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="of the trainings")
    parser.add_argument("--val", type=int, default=3, help="patients that validate")
    parser.add_argument("--held-out", type=int, default=10, help="patients that are held out")
    parser.add_argument("--data", nargs="*", default=[], help="overrides that name other data")
    parser.add_argument("--pool", default="", help="start of the ids of the cases that may train")
    parser.add_argument("--data-seed", type=int, default=13, help="of the synthetic CTs and of the choice of patients")
    parser.add_argument("--shape", nargs=3, type=int, default=[128, 128, 112], help="voxels of a synthetic CT")
    parser.add_argument("--more", nargs="*", default=[], help="overrides of both trainings, e.g. optimizer.lr=5e-4")
    add_arguments(parser)
    return parser.parse_args(arguments)


def synthetic(args: argparse.Namespace) -> list[str]:
    """Overrides for synthetic cases."""
    number = max(args.train) + args.val + args.held_out
    numbers = {"seed": args.data_seed, "num_cases": number, "shape": args.shape}
    return ["data=phantom", *(f"data.sources.phantom.{key}={value}" for key, value in numbers.items())]


def choose(cases: Sequence[Case], train: int, val: int, held_out: int, pool: str, seed: int) -> dict[str, list[str]]:
    """Ids by part: held-out and validation patients at random, then training cases of other patients.

    Patients of a pool are held out only if the others do not suffice. Cases that were made from label maps only train.
    Exits if there are not enough.
    """
    rng = np.random.default_rng(seed)
    real = [case for case in cases if case.made_from is None]
    in_pool = {case.patient for case in cases if pool and case.id.startswith(pool)}
    patients = sorted({case.patient for case in real})
    order = sorted((patients[index] for index in rng.permutation(len(patients))), key=in_pool.__contains__)
    parts = {"test": order[:held_out], "val": order[held_out : held_out + val]}
    used = {*parts["test"], *parts["val"]}
    pooled = [case.id for case in cases if case.id.startswith(pool) and case.patient not in used]
    chosen = [pooled[index] for index in rng.permutation(len(pooled))[:train]]
    if len(order) < held_out + val or len(chosen) < train:
        sys.exit(
            f"{len(cases)} cases do not give {train} for training, {val} patients for validation and {held_out} held "
            "out; take smaller numbers of --train, --val or --held-out"
        )
    named = {part: [case.id for case in real if case.patient in patients] for part, patients in parts.items()}
    return {"train": chosen, **named}


def run(
    out: Path,
    data: Sequence[str],
    split: dict[str, list[str]],
    which: tuple[str, int, int],
    args: argparse.Namespace,
    scored: dict[str, list[Case]],
) -> list[Row]:
    """Rows of one training: start, number of cases, seed."""
    start, number, seed = which
    folder = out / f"{start}_{number}_cases_seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "split.json"
    path.write_text(json.dumps({**split, "train": split["train"][:number], "test": []}), encoding="utf-8")
    patches = -(-args.steps * BATCH // EPOCHS)
    overrides = [*data, "experiment=finetune", f"init_from={STARTS[start]}", "split=file", f"split.path={path}"]
    overrides += [f"seed={seed}", f"data.patches_per_epoch={patches}", *args.more]
    return train_and_score(folder, overrides, scored, {"start": start, "training_cases": number, "seed": seed})


if __name__ == "__main__":
    main()
