"""Benefit of adding a data set with one annotated organ: three trainings, tested on the same fully annotated CTs.

    python benchmarks/partial.py [overrides of segment train]

`full` trains on synthetic CTs with all organs annotated. `mixed` adds as many CTs on which only the spleen is annotated
and the other organs are unknown. `naive` has the same files, but treats unknown organs as background, as tools without
the marginal loss do. All trainings use ten patches of every CT per epoch, so with twice the CTs they have twice the
steps.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segment.metrics.cases_csv import read_cases
from segment.metrics.scores import nan_mean
from segment.phantom import LABELS, write_dataset

CASES = 32  # with all organs: 24 for training, 4 for validation, 4 for the test; 24 more have the spleen alone
ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


def train(folder: Path, *overrides: str) -> dict[str, float]:
    """Run a training and return the mean Dice of each organ on the test cases."""
    call = [
        sys.executable,
        "-m",
        "segment.commands.train",
        f"hydra.run.dir={folder}",
        "callbacks.cases.overlay=false",
        *overrides,
    ]
    subprocess.run(call, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    scores = [score for _, score in read_cases(folder / "cases.csv")]
    return {organ: nan_mean(s.dice for s in scores if s.organ == organ) for organ in ORGANS}


def main() -> None:
    """Run the three trainings and print the table."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        more = write_dataset(root / "more", num_cases=24, seed=1, shape=(128, 128, 96), workers=2)
        names = sorted(path.name.removesuffix(".nii.gz") for path in (more / "images").iterdir())
        full = [f"phantom/phantom_{number:04d}" for number in range(CASES)]
        split = {"train": full[:24], "val": full[24:28], "test": full[28:]}
        (root / "full.json").write_text(json.dumps(split))
        (root / "mixed.json").write_text(json.dumps(split | {"train": split["train"] + [f"folder/{n}" for n in names]}))
        base = [f"cache_dir={root}/cache", f"data.sources.phantom.num_cases={CASES}", "split=file"]
        other = sorted(code for organ, code in LABELS.items() if organ != "spleen")
        codes = "data.sources.folder.label_codes={{spleen: {}, other: {}{}}}"
        unused = "".join(f", {organ}: {200 + i}" for i, organ in enumerate(ORGANS[:-1]))
        both = ["data=[phantom,folder]", f"data.sources.folder.root={more}", f"split.path={root}/mixed.json"]
        both.append(f"data.patches_per_epoch={10 * 2 * 24}")
        runs = {
            "full": [f"split.path={root}/full.json", f"data.patches_per_epoch={10 * 24}"],
            "mixed": [*both, codes.format(LABELS["spleen"], other, "")],
            "naive": [*both, codes.format(LABELS["spleen"], other, unused)],
        }
        table = Table(title=f"Dice on {len(split['test'])} fully annotated test CTs")
        for column in ("training", *ORGANS):
            table.add_column(column)
        for run, overrides in runs.items():
            dice = train(root / run, *base, *overrides, *sys.argv[1:])
            table.add_row(run, *(f"{dice[organ]:.3f}" for organ in ORGANS))
    Console().print(table)


if __name__ == "__main__":
    main()
