"""A picture of the lowest Dice among the 40 held-out synthetic trunks: which organs, and why.

    segment evaluate ckpt=starter data.sources.phantom.seed=1 'data.sources.phantom.shape=[128,128,112]'
    python benchmarks/worst_cases.py <run folder>/cases.csv docs/images/worst_cases.jpg

One organ of a case per row of two panels, axial and coronal, through the middle of its reference, lowest Dice first.
The organ's prediction has a thick contour in its colour, its reference a dashed white one, other organs a thin one.
"""

import argparse
import csv
import math
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from segment.checkpoint.load_ensemble import load
from segment.datasets.cases import Case
from segment.datasets.sources.phantom import Phantom
from segment.view.colors import organ_colors
from segment.view.panel import plot_plane
from segment.view.scene import Scene, make_scene

SEED, NUMBER, SHAPE = 1, 40, (128, 128, 112)
SHOWN, COLUMNS = 10, 2
HALF_MM = 75.0  # around the middle of the organ
WINDOW_HU = (-160.0, 240.0)
Low = tuple[str, str, float]  # case, organ, Dice


def main() -> None:
    """Predict the worst cases again, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scores", type=Path, help="cases.csv of the evaluation")
    parser.add_argument("output", type=Path)
    parser.add_argument("--ckpt", default="starter")
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"))
    args = parser.parse_args()
    source = Phantom(args.cache / "phantom", NUMBER, SEED, SHAPE, workers=2)
    draw(args.output, lowest(args.scores, SHOWN), {case.id: case for case in source.cases("phantom")}, args.ckpt)


def lowest(path: Path, count: int) -> list[Low]:
    """The organs with the lowest Dice, at most `count`; organs that a case does not have are left out."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["case"], row["organ"], float(row["dice"])) for row in csv.DictReader(file)]
    return sorted((row for row in rows if not math.isnan(row[2])), key=lambda row: row[2])[:count]


def draw(path: Path, rows: list[Low], cases: dict[str, Case], ckpt: str) -> None:
    """Draw two panels for each row and save them."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    trained = load(ckpt)
    lines = -(-len(rows) // COLUMNS)
    figure, axes = plt.subplots(lines, 2 * COLUMNS, figsize=(3 * 2 * COLUMNS, 3.2 * lines), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    scenes: dict[str, Scene] = {}
    for number, (name, organ, dice) in enumerate(rows):
        if name not in scenes:
            scan = cases[name].read()
            reference = cases[name].label.read(scan, cases[name].image, trained.organs)
            pred = trained.segmenter(scan)
            scenes[name] = make_scene(np.asarray(scan.data), pred, reference, scan.affine, trained.organs, WINDOW_HU)
        line, column = divmod(number, COLUMNS)
        pair = axes[line][2 * column : 2 * column + 2]
        draw_organ(pair, scenes[name], trained.organs, organ)
        title = f"{number + 1}. {name.rpartition('_')[2]} {organ.replace('_', ' ')}: Dice {dice:.2f}"
        pair[0].set_title(title, loc="left", fontsize=11)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=80, pil_kwargs={"quality": 85})
    plt.close(figure)


def draw_organ(axes: list[Axes], scene: Scene, organs: list[str], organ: str) -> None:
    """Draw the axial and the coronal plane through the middle of the organ's reference."""
    index = organs.index(organ) + 1
    assert scene.reference is not None
    center = np.argwhere(scene.reference == index).mean(axis=0).round().astype(int).tolist()
    for axis, plane in zip(axes, (2, 1), strict=True):
        plot_plane(axis, scene, plane, center, index, organ_colors(organs))
        across, down = (other for other in range(3) if other != plane)
        middle = [center[other] * scene.spacing_mm[other] for other in (across, down)]
        axis.set(xlim=(middle[0] - HALF_MM, middle[0] + HALF_MM), ylim=(middle[1] + HALF_MM, middle[1] - HALF_MM))
        axis.set_aspect("equal")


if __name__ == "__main__":
    main()
