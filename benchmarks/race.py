"""A race on a CPU: ours, nnU-Net v2, and MONAI's UNet, SegResNet and VNet, by processor minutes.

    python benchmarks/race.py [--minutes 5 10 20] [--threads 2] [--case CT LABEL CODES] [--out outputs/race]

All train on the same synthetic CTs with the same threads, each in a process of its own, and save their weights when
they have used the given processor minutes; imports, planning and preprocessing count. The weights of every mark segment
CTs that no training saw: synthetic ones of the same seed, the CT of `data=lidc`, and those of --case. Their masks are
scored on the CTs' own grids by the same code. Learning rates fall with the clock, so an early mark is a point within a
training, not the result of a shorter one: for that, give one mark, `--minutes 5 --out outputs/race5`.

`segment` is `segment train` with `experiment=quick` at 3 mm. `segment from starter` starts with the starter weights, so
hours of training on other patients of the same generator are in it: on synthetic CTs it does not compete, and no
figure of it shows what the minutes alone buy. nnU-Net is in `race_nnunet.py`, MONAI's script in `race_monai.py`; both
say what they changed. Ours keeps the largest part of every organ, which the others leave to their users.

What this cannot show: nnU-Net trains for 1,000 epochs on a GPU, which are days or weeks here, and MONAI's networks
for hundreds. On this budget a contender that is cheap per step wins; it says nothing about where each of them ends.

nnU-Net needs `pip install nnunetv2`; without it, it is left out. A race that is started again continues: a training
that reached its last mark, masks and scores are kept.
"""

import argparse
import importlib
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from race_child import MODULES
from race_data import Scored, write_cases
from race_job import Job, run_on_cores
from real_ct import add_arguments, real_cases
from results import Row, draw_curves, open_record, print_table, read_rows, score, write_json, write_rows

HERE = Path(__file__).parent


def main() -> None:
    """Train, predict, score, and print the table."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    record = open_record(out / "race.json", vars(args), free=("contenders",))
    real = real_cases(args.cache, args.case)
    data, scored = write_cases(out / "data", args.cache, args.data_seed, args.cases, args.shape, real)
    rows: list[Row] = []
    for name in args.contenders:
        if name == "nnU-Net" and not find_spec("nnunetv2"):
            print("nnU-Net is left out: nnunetv2 is not installed; pip install nnunetv2")
            continue
        job = a_job(name, out, data, args)
        run_training(job)
        record.setdefault("marks", {})[name] = job.passed()
        record.setdefault("plans", {})[name] = describe(job)
        write_json(out / "race.json", record)
        for minutes in job.minutes:
            rows += scores_at(job, minutes, scored)
            write_rows(out / "race.csv", rows)
    print_table("Dice by processor minutes", rows, ("contender", "mark"))
    draw_curves(out / "race.png", rows, "contender", "cpu_minutes", "processor minutes")
    print(f"{out}: race.csv, race.json, race.png")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/race"), help="folder of everything it writes")
    parser.add_argument("--contenders", nargs="+", default=list(MODULES), choices=list(MODULES), metavar="NAME")
    parser.add_argument("--minutes", nargs="+", type=float, default=[5.0, 10.0, 20.0], help="marks")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cases", nargs=3, type=int, default=[24, 6, 10], help="training, validation, held out")
    parser.add_argument("--data-seed", type=int, default=12, help="of the synthetic CTs; 0 trained the starter")
    parser.add_argument("--shape", nargs=3, type=int, default=[128, 128, 112], help="voxels of a synthetic CT")
    parser.add_argument("--seed", type=int, default=0, help="of the trainings")
    parser.add_argument("--spacing", type=float, default=3.0, help="voxel size in mm; nnU-Net plans its own")
    parser.add_argument("--patch", type=int, default=64, help="voxels; nnU-Net plans its own")
    parser.add_argument("--gb", type=float, default=2.0, help="memory of the GPU that nnU-Net plans for")
    parser.add_argument("--lr", type=float, default=1e-3, help="first learning rate of MONAI's networks")
    parser.add_argument("--ours", nargs="*", default=[], help="overrides of segment train")
    add_arguments(parser)
    args = parser.parse_args(arguments)
    args.minutes.sort()
    return args


def a_job(name: str, out: Path, data: Path, args: argparse.Namespace) -> Job:
    """The job of a contender."""
    return Job(
        contender=name,
        folder=out / name.replace(" ", "_"),
        data=data,
        minutes=tuple(args.minutes),
        threads=args.threads,
        spacing_mm=args.spacing,
        patch=args.patch,
        seed=args.seed,
        options=tuple(args.ours),
        memory_gb=args.gb,
        lr=args.lr,
    )


def run_training(job: Job) -> None:
    """Train in a process of its own, unless an earlier start did; a training without its last mark starts again."""
    job.write()  # even if it is done: in a copied folder the file has the paths of the first one
    if job.done:
        return
    module = importlib.import_module(MODULES[job.contender])
    own = [sys.executable, str(HERE / "race_child.py"), "train", str(job.file)]
    run_child(job, module.command(job) if hasattr(module, "command") else own, "train.log")


def run_child(job: Job, command: list[str], log: str) -> None:
    """Run a command with the job's threads on as many cores; its output goes to a file.

    Exits if it fails or trains without reaching its last mark.
    """
    print(f"{job.contender}: {log.removesuffix('.log')} …", flush=True)
    code = run_on_cores(command, job.threads, job.folder / log)
    if code or not job.done:
        sys.exit(f"{job.contender} failed with exit code {code}; see {job.folder / log}")


def describe(job: Job) -> dict[str, object]:
    """What a contender planned for itself, if it plans."""
    module = importlib.import_module(MODULES[job.contender])
    return module.describe(job) if hasattr(module, "describe") else {}


def scores_at(job: Job, minutes: float, scored: list[Scored]) -> list[Row]:
    """Rows of the weights at a mark; CTs that have none yet are segmented and scored."""
    table, masks = job.folder / f"scores_at_{minutes:g}.csv", job.folder / f"masks_at_{minutes:g}"
    rows = read_rows(table) if table.exists() else []
    known = {row["case"] for row in rows}
    missing = [one for one in scored if one.name not in known]
    if not missing:
        return rows
    masks.mkdir(exist_ok=True)
    cts = {one.name: str(one.image) for one in missing}
    (job.folder / "cts.json").write_text(json.dumps(cts), encoding="utf-8")
    command = [sys.executable, str(HERE / "race_child.py"), f"{minutes:g}", str(job.file)]
    run_child(job, command, f"predict_{minutes:g}.log")
    passed = job.passed()[f"{minutes:g}"]
    names = {"contender": job.contender, "mark": minutes, **{key: round(value, 2) for key, value in passed.items()}}
    for one in missing:
        pred, reference = (nib.load(path) for path in (masks / f"{one.name}.nii.gz", one.label))
        arrays = [np.asarray(image.dataobj).astype(np.uint8) for image in (pred, reference)]
        found = score(*arrays, reference.affine, one.organs)
        rows += [{**names, "set": one.set, "case": one.name, **row} for row in found]
    write_rows(table, rows)
    return rows


if __name__ == "__main__":
    main()
