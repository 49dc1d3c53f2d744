"""Planned recipes against `experiment=quick` at equal processor minutes, on four unusual sets of synthetic CTs.

    python benchmarks/plan_race.py [--sets isotropic thick tiny mixed] [--minutes 4] [--seeds 3] [--data-seed 31]

Every set has 12 CTs that train, 2 for validation and 8 held out, of the same generator (`plan_race_data.py`).
`segment plan` plans for the CPU and the time; nobody changes the plan. It does so twice: from scratch
(`init_from=null`), and without this option, which for a few minutes begins with the starter weights. These were trained
on other patients of the same generator, so only the first plan shows what the rules are worth on their own. The last
rows of each set are those of the starter weights without any training.

All recipes are prepared beforehand. They train with the same threads, each in a process of its own that ends when it
has used its processor minutes, with imports. None validates: the last weights count, which are averaged if the recipe
says so. Learning rates follow the clock. `segment evaluate` scores the held-out CTs on their own grids, and `segment
compare` compares all seeds of the recipes, with intervals over CTs and seeds.

With the defaults it takes about two hours on two quiet cores, a quarter of an hour for the CTs included. It writes
plan_race.md and plan_race.json. What is done is kept, so a race that is started again continues; other sets and more
seeds can be added. Another number of minutes has its own runs.
"""

import argparse
import csv
import glob
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plan_race_data import SETS, write_set
from race_job import Job, run_on_cores
from race_ours import FIXED
from results import open_record, write_json

from segment.files import write_text

RECIPES = {"quick": 0.0, "scratch": 0.1, "planned": 0.1}  # share of the time for the warm-up; plans for CPUs: a tenth
STARTER = "starter"  # these weights as they are; not a training, so it has one seed
PLANS = {"scratch": "null", "planned": "auto"}  # init_from= of the two that `segment plan` writes
HEADER = """\
| set | compared with quick | metric | organ | quick | compared | compared - quick | better |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Make the sets, plan, train, evaluate, compare, and write the table."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    record = open_record(out / "plan_race.json", vars(args), free=("sets", "seeds", "minutes"))
    lines = [HEADER]
    for name in args.sets:
        race = Race(out / name, name, args.data_seed, args.minutes, args.threads)
        race.prepare()
        for seed in range(args.seeds):
            for recipe in RECIPES:
                race.run(recipe, seed)
        race.score(race.runs / STARTER, STARTER)
        found = race.compare(args.seeds)
        record.setdefault("results", {})[f"{name}, {args.minutes:g} minutes"] = found
        write_json(out / "plan_race.json", record)
        lines += rows(SETS[name].title, found["summary"], found["differences"])
        write_text(out / "plan_race.md", "\n".join(lines) + "\n")
    print((out / "plan_race.md").read_text(encoding="utf-8"))
    print(f"{out}: plan_race.md, plan_race.json, and for every set the plan and the page of the comparison")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/plan_race"), help="folder of everything it writes")
    parser.add_argument("--minutes", type=float, default=4.0, help="processor minutes of a training")
    parser.add_argument(
        "--seeds", type=int, default=3, choices=range(1, 11), metavar="N", help="trainings of each recipe"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), metavar="SET")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data-seed", type=int, default=31, help="of the patients; 0 trained the starter weights")
    return parser.parse_args(arguments)


class Race:
    """All recipes on one set.

    Args:
        folder: Folder of the set.
        name: Key of SETS.
        data_seed: Seed of the patients.
        minutes: Processor minutes of a training.
        threads: Threads, and cores.
    """

    def __init__(self, folder: Path, name: str, data_seed: int, minutes: float, threads: int) -> None:
        self.folder, self.name, self.data_seed, self.minutes, self.threads = folder, name, data_seed, minutes, threads
        self.runs = folder / f"{minutes:g}_minutes"

    @property
    def data(self) -> list[str]:
        """Overrides that name the set."""
        return ["data=manifest", f"data.sources.manifest.path={self.folder}/cts/cases.csv"]

    @property
    def recipe_of(self) -> dict[str, list[str]]:
        """Arguments of `segment train` by recipe."""
        same = [*self.data, "split=given", f"cache_dir={self.folder}/cache", f"data.num_workers={self.threads}"]
        plans = {name: [f"--config-dir={self.runs}/plans", f"experiment={name}", *same] for name in PLANS}
        return {"quick": ["experiment=quick", *same], **plans}

    def prepare(self) -> None:
        """Write the CTs, the plans, and the preprocessed volumes of all recipes."""
        print(f"{self.name}: CTs …", flush=True)
        write_set(self.folder / "cts", self.name, self.data_seed)
        for name, start in PLANS.items():
            if not (self.runs / f"plans/experiment/{name}.yaml").exists():
                data = [*self.data, "split=given", f"cache_dir={self.folder}/cache"]
                data += ["device=cpu", f"hours={self.minutes / 60 / self.threads}", f"init_from={start}"]
                self._call("plan", [*data, f"name={name}", f"folder={self.runs}/plans"], f"plan_{name}.log")
        for recipe in RECIPES:
            self._call("prepare", self.recipe_of[recipe], f"prepare_{recipe}.log")

    def run(self, recipe: str, seed: int) -> None:
        """Train until the time is used, and score the weights; neither is repeated."""
        job = self.job(recipe, seed)
        if not job.done:
            shutil.rmtree(job.folder, ignore_errors=True)  # of a training that did not reach its end
            job.write()
            deadline = ["+callbacks.deadline._target_=race_ours.Deadline", f"+callbacks.deadline.job={job.file}"]
            deadline.append(f"+callbacks.deadline.warmup={RECIPES[recipe]}")
            run = [f"hydra.run.dir={job.folder}/run", f"seed={seed}"]
            self._call("train", [*self.recipe_of[recipe], *FIXED, *deadline, *run], f"{job.folder.name}/train.log")
        self.score(job.folder, job.checkpoint(self.minutes))

    def score(self, folder: Path, ckpt: str | Path) -> None:
        """Score a checkpoint on the held-out CTs, once, into `scores` of a folder."""
        if (folder / "scored").exists():
            return
        shutil.rmtree(folder / "scores", ignore_errors=True)
        arguments = [*self.data, f"ckpt={ckpt}", "split=given", f"hydra.run.dir={folder}/scores"]
        quiet = ["pictures=false", "page=false", "device=cpu", f"cache_dir={self.folder}/cache"]
        self._call("evaluate", [*arguments, *quiet], f"{folder.name}/evaluate.log")
        (folder / "scored").touch()

    def job(self, recipe: str, seed: int) -> Job:
        """The job of a training; its recipe is that of the command, so the fields for other contenders are empty."""
        return Job(
            contender=recipe,
            folder=self.runs / f"{recipe}_{seed}",
            data=self.folder / "cts",
            minutes=(self.minutes,),
            threads=self.threads,
            spacing_mm=0.0,
            patch=0,
            seed=seed,
            options=(),
            memory_gb=0.0,
            lr=0.0,
        )

    def compare(self, seeds: int) -> dict[str, Any]:
        """Tables of `segment compare`, all against quick, and the steps of every training.

        Each recipe is named by a pattern, so that it is one arm even if its seeds were trained by several versions.
        """
        jobs = [self.job(recipe, seed) for recipe in RECIPES for seed in range(seeds)]
        digits = "".join(map(str, range(seeds)))
        output = self.runs / "compare"
        shutil.rmtree(output, ignore_errors=True)
        runs = glob.escape(str(self.runs))
        arguments = [*(f"{runs}/{recipe}_[{digits}]/scores" for recipe in RECIPES), f"{runs}/{STARTER}/scores"]
        options = ["reference=A", "metrics=[dice,nsd]", f"output={output}"]
        self._call("compare", [*arguments, *options], "compare.log")
        passed = {job.folder.name: job.passed()[f"{self.minutes:g}"] for job in jobs}
        return {"trainings": passed, **{name: _table(output / f"{name}.csv") for name in ("summary", "differences")}}

    def _call(self, command: str, arguments: Sequence[str], log: str) -> None:
        """Run a command of ours on as many cores as threads; exit if it fails."""
        print(f"{self.name}: {log.removesuffix('.log').replace('/', ' ')} …", flush=True)
        path = self.runs / log
        path.parent.mkdir(parents=True, exist_ok=True)
        code = run_on_cores([sys.executable, "-m", "segment", command, *arguments], self.threads, path)
        if code:
            sys.exit(f"{self.name}: segment {command} failed with exit code {code}; see {path}")


def rows(title: str, summary: Sequence[dict[str, str]], differences: Sequence[dict[str, str]]) -> list[str]:
    """Rows of the table for one set: means with intervals, their difference with its interval, and the verdict.

    Args:
        title: Of the set.
        summary: Rows of summary.csv of `segment compare`, whose arms A, B, … are the recipes in their order, then the
            starter weights.
        differences: Rows of differences.csv, others minus A.
    """
    names = dict(zip("ABCD", [*RECIPES, STARTER], strict=True))
    means = {(row["arm"], row["organ"], row["metric"]): _interval(row, "mean") for row in summary}
    lines = []
    for row in differences:
        key = (row["organ"], row["metric"])
        compared = names[row["second"]]
        better = {"": "-", row["first"]: "quick", row["second"]: compared}[row["better"]]
        two = [means[(row[arm], *key)] for arm in ("first", "second")]
        organ = row["organ"].replace("_", " ")
        cells = (title, compared, row["metric"], organ, *two, _interval(row, "difference"), better)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _interval(row: dict[str, str], name: str) -> str:
    return f"{float(row[name]):.3f} [{float(row['low']):.3f}, {float(row['high']):.3f}]"


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
