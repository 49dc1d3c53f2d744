"""What test-time augmentation gains: Dice of every organ on held-out synthetic trunks and on real CTs.

    python benchmarks/tta.py [checkpoint] [--trunks 6] [--seed 303] [--cache FOLDER] [--case CT LABEL CODES]

The checkpoint, by default `starter`, segments every CT as it is, with each kind of view, and with all of them. The
trunks are synthesised from a seed that no training used; the real CTs are those of benchmarks/real_ct.py. Differences
are to the CT as it is, over all organs, with the standard error of their mean.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from real_ct import add_arguments, real_cases
from rich.console import Console
from rich.table import Table
from torch import Tensor

from segment.checkpoint.load_ensemble import load
from segment.datasets.annotation import known_classes
from segment.datasets.cases import Case
from segment.datasets.sources.phantom import Phantom
from segment.inference.augmented import AugmentedSegmenter
from segment.inference.engines.choose import AUTO, MANY_CTS, choose
from segment.inference.segmenter import Segmenter
from segment.inference.views import VIEWS, augmentation_views

SHAPE = (128, 128, 112)
Dices = dict[str, list[list[float]]]


def main() -> None:
    """Segment all CTs and print the table of each group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="starter")
    parser.add_argument("--trunks", type=int, default=6)
    parser.add_argument("--seed", type=int, default=303)
    add_arguments(parser)
    args = parser.parse_args()
    trained = load(args.checkpoint)
    choose(AUTO, AUTO, False).equip([member.segmenter for member in trained.members], MANY_CTS)
    organs = trained.organs
    kinds = {
        "none": [],
        **{name: augmentation_views([name], organs) for name in VIEWS},
        "all": augmentation_views([*VIEWS], organs),
    }
    base = Remembering(trained.segmenter)
    found: dict[str, Dices] = {}
    for group, case in _cases(args):
        scan = case.read()
        reference, annotated = case.label.read(scan, case.image, organs), known_classes(case.label, organs)
        for name, views in kinds.items():
            mask = AugmentedSegmenter(base, views).segment(scan, exact=False).mask
            found.setdefault(group, {}).setdefault(name, []).append(_dices(mask, reference, annotated))
        base.forget()
        print(case.id, *(f"{name} {np.round(rows[-1], 4)}" for name, rows in found[group].items()), flush=True)
    for group, dices in found.items():
        _print(group, organs, {name: np.array(rows) for name, rows in dices.items()})


class Remembering(Segmenter):
    """A segmenter that runs the network once for each view of a CT, also if several kinds have it."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__(
            segmenter.net, segmenter.transform, segmenter.inferer, segmenter.postprocess, segmenter.classes
        )
        self.segmenter = segmenter
        self.found = {}

    def forget(self) -> None:
        """Before the next CT."""
        self.found.clear()

    def region(self, image: Tensor, exact: bool):
        """As `Segmenter.region`."""
        key = hash(image.numpy().tobytes())
        if key not in self.found:
            self.found[key] = self.segmenter.region(image, exact)
        region, searches = self.found[key]
        return region, list(searches)


def _cases(args: argparse.Namespace) -> Iterator[tuple[str, Case]]:
    """Group and case."""
    for case in real_cases(args.cache, args.case):
        yield case.id, case
    trunks = Phantom(args.cache / "phantom", args.trunks, args.seed, SHAPE, workers=2)
    for case in trunks.cases("phantom"):
        yield "synthetic trunks", case


def _dices(mask: np.ndarray, reference: np.ndarray, annotated: np.ndarray) -> list[float]:
    """Dice of each organ; NaN for one that the case does not annotate, or that is in neither mask."""
    result = []
    for index, is_known in enumerate(annotated[1:], start=1):
        one, two = mask == index, reference == index
        total = np.count_nonzero(one) + np.count_nonzero(two)
        result.append(2 * np.count_nonzero(one & two) / total if total and is_known else np.nan)
    return result


def _print(group: str, organs: list[str], found: dict[str, np.ndarray]) -> None:
    """Mean Dice of each kind, over (cases, organs), and the mean difference to none with its standard error."""
    table = Table("views", *organs, "difference", "worse by 0.01", title=f"{group}, {len(found['none'])} CTs")
    for name, rows in found.items():
        change = (rows - found["none"])[np.isfinite(rows)]
        error = change.std() / max(1, len(change)) ** 0.5
        known = [column[np.isfinite(column)] for column in rows.T]
        means = [f"{column.mean():.4f}" if len(column) else "-" for column in known]
        table.add_row(name, *means, f"{change.mean():+.4f} ± {error:.4f}", str((change < -0.01).sum()))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
