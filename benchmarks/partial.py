"""What a data set with one organ adds to one with all: three trainings, tested on the same fully labelled CTs.

    python benchmarks/partial.py [overrides of segment train]

`full`: synthetic CTs with all organs. `mixed`: these, and as many others on which only the spleen was drawn: the other
organs are unknown there. `naive`: the same files, but unknown organs count as background, as in tools without the
marginal loss. All see every CT equally often, ten patches an epoch: with twice the CTs, twice the steps.
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

CASES = 32  # with all organs, of which 24 train, 4 validate and 4 test; 24 more with the spleen alone
ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


def train(folder: Path, *overrides: str) -> dict[str, float]:
    """Mean Dice per organ on the test cases."""
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
    """Train thrice and print the table."""
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
        table = Table(title=f"Dice on {len(split['test'])} fully labelled test CTs")
        for column in ("training", *ORGANS):
            table.add_column(column)
        for run, overrides in runs.items():
            dice = train(root / run, *base, *overrides, *sys.argv[1:])
            table.add_row(run, *(f"{dice[organ]:.3f}" for organ in ORGANS))
    Console().print(table)


if __name__ == "__main__":
    main()
