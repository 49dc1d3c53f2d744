"""What each part of the recipe of the starter weights is worth: the same short training with one part removed.

    python benchmarks/ablation.py [--steps 800] [--cases 100] [--rows recipe anatomy …] [--case CT LABEL CODES]

Every row is `experiment=starter`, shortened to the same steps and cases, and one change (ROWS). All are scored on the
CT of `data=lidc`, on those of --case and on the same held-out synthetic trunks, which have all parts. The best epoch is
chosen on validation cases like those of the training. Nothing here chooses what ships: the real CTs are only reported.

Everything that is done is kept in the folder, and a second start continues.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from real_ct import add_arguments, real_cases
from results import HELD_OUT, Row, mean_dice, open_record, print_table, write_json, write_rows
from trainings import train_and_score

from segment.datasets.sources.phantom import Phantom

WITHOUT = "+data.sources.phantom.without"
REDRAW = "augment.transforms.redraw"
# Rows, and the overrides that remove a part. `light` has small rotations and changes of brightness, noise and the like.
ROWS: dict[str, list[str]] = {
    "recipe": [],
    "anatomy: abdomen only": ["+data.sources.phantom.scans=[abdomen]"],
    "contrast: augment=light": ["augment=light"],
    "contrast: not drawn anew": [f"{REDRAW}.p=0"],
    "no pathology": [f"{WITHOUT}=[disease]"],
    # The augmentation draws a scanner, too, which must be ideal as well. A logarithm forbids a noise of 0 HU.
    "no scanner": [
        f"{WITHOUT}=[scanner]",
        f"{REDRAW}.kernel_mm=[0,0]",
        f"{REDRAW}.slice_mm=[0.7,0.7]",
        f"{REDRAW}.noise_hu=[0.01,0.01]",
        f"{REDRAW}.shading_hu=[0,0]",
        "augment.transforms.noise.p=0",
        "augment.transforms.blur.p=0",
    ],
    "network: half the channels": ["model.net.base_channels=8", "model.net.max_channels=128"],
    "resolution: 4 mm": ["spacing_mm=[4,4,4]", "data.patch_size=[64,64,64]"],
}
BATCH = 2


def main() -> None:
    """Train, score, and print the table."""
    args = parse(sys.argv[1:])
    out = args.out.resolve()
    record = open_record(out / "ablation.json", vars(args), free=("rows",))
    write_json(out / "ablation.json", record | {"overrides": ROWS})
    held_out = Phantom(args.cache / "phantom", args.held_out, args.held_out_seed, args.shape, workers=2)
    scored = {HELD_OUT: held_out.cases("phantom")}
    scored |= {case.id.rpartition("/")[2]: [case] for case in real_cases(args.cache, args.case)}
    rows: list[Row] = []
    for name in args.rows:
        folder = out / "".join(letter if letter.isalnum() else "_" for letter in name)
        rows += train_and_score(folder, [*recipe(args), *ROWS[name], *args.more], scored, {"row": name})
        write_rows(out / "ablation.csv", rows)
    print_table(f"Dice after {args.steps} steps", rows, ("row",))
    draw_bars(out / "ablation.png", rows)
    print(f"{out}: ablation.csv, ablation.json, ablation.png")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Options of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("outputs/ablation"), help="folder of everything it writes")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    parser.add_argument("--steps", type=int, default=800, help="optimizer steps of every training")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--cases", type=int, default=100, help="synthetic CTs, of which a tenth validate")
    parser.add_argument("--held-out", type=int, default=20, help="held-out synthetic CTs")
    parser.add_argument("--held-out-seed", type=int, default=1, help="0 is that of the training")
    parser.add_argument("--shape", nargs=3, type=int, default=[128, 128, 112], help="voxels of a synthetic CT")
    parser.add_argument("--more", nargs="*", default=[], help="overrides of all trainings")
    add_arguments(parser)
    return parser.parse_args(arguments)


def recipe(args: argparse.Namespace) -> list[str]:
    """The shortened recipe."""
    option, patches = "data.sources.phantom", -(-args.steps * BATCH // args.epochs)
    data = [f"{option}.num_cases={args.cases}", f"{option}.shape={args.shape}", f"cache_dir={args.cache.resolve()}"]
    length = [f"trainer.max_epochs={args.epochs}", f"data.patches_per_epoch={patches}", "split.val=0.1"]
    return ["experiment=starter", *data, *length]


def draw_bars(path: Path, rows: Sequence[Row]) -> None:
    """Draw the mean Dice of every row, one picture per set."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    means = {key: dice["mean"] for key, dice in mean_dice(rows, ("set", "row")).items()}
    sets, names = (list(dict.fromkeys(key[part] for key in means)) for part in (0, 1))
    size = (3 + 3 * len(sets), 1 + 0.4 * len(names))
    figure, axes = plt.subplots(1, len(sets), figsize=size, sharey=True, squeeze=False)
    for axis, of_set in zip(axes[0], sets, strict=True):
        values = np.array([means.get((of_set, name), np.nan) for name in names])
        bars = axis.barh(names, values, color=["tab:blue"] + ["tab:gray"] * (len(names) - 1))
        axis.bar_label(bars, fmt="%.3f", padding=2)
        axis.set(title=of_set, xlabel="mean Dice", xlim=(0, 1.15))
    axes[0][0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
