"""How well the masks of `segment predict` agree with those of the full sliding window (`exact=true`), CT by CT.

    python benchmarks/agreement.py [checkpoint] [--engine auto] [--cache FOLDER] [--case CT LABEL CODES]

The CTs are those of benchmarks/real_ct.py, synthetic ones of seeds that no training used, and both mirrored, turned and
cut. Dice is that of the two masks, on the CT's own grid after post-processing; it does not need the labels. The table
is in Markdown, for docs/speed.md.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from real_ct import add_arguments, real_cases

from segment.checkpoint.load_ensemble import load
from segment.inference.engines.choose import AUTO, MANY_CTS, choose
from segment.io.scan import Scan, geometry_header
from segment.phantom.case import synthesise_case

SHAPE = (160, 128, 144)
TRUNKS = ((7, 0), (7, 1), (8, 2), (8, 3), (9, 4), (9, 5), (9, 6), (9, 7))  # seed and index


def main() -> None:
    """Segment every CT twice and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="starter")
    parser.add_argument("--engine", default=AUTO)
    add_arguments(parser)
    args = parser.parse_args()
    trained = load(args.checkpoint)
    members = [member.segmenter for member in trained.members]
    print(choose(args.engine, AUTO, False).equip(members, MANY_CTS).describe())
    print("| CT | windows | of |", " | ".join(organ.replace("_", " ") for organ in trained.organs), "|", flush=True)
    for name, scan in _scans(args):
        fast, exact = (trained.segmenter.segment(scan, exact=exact) for exact in (False, True))
        (search,) = fast.searches
        doubt = " (in doubt)" if search.doubtful else ""
        scores = [_dice(fast.mask == index, exact.mask == index) for index in range(1, 1 + len(trained.organs))]
        print(f"| {name} | {search.windows}{doubt} | {search.all_windows} |", " | ".join(scores), "|", flush=True)


def _scans(args: argparse.Namespace) -> Iterator[tuple[str, Scan]]:
    for case in real_cases(args.cache, args.case):
        scan = case.read()
        yield case.id, scan
        if case.id == "lidc/lidc":
            yield from _changed("LIDC", scan)
    for seed, index in TRUNKS:
        case = synthesise_case(seed, index, SHAPE)
        scan = _scan(case.hu, np.diag([*case.spacing_mm, 1.0]))
        yield f"{case.view.scan} ({seed}, {index})", scan
        if (seed, index) == TRUNKS[0]:
            yield from _changed(f"{case.view.scan} ({seed}, {index})", scan)
    yield "air", _scan(np.full((128, 128, 128), -1000, np.int16), np.diag([3.0, 3.0, 3.0, 1.0]))


def _changed(name: str, scan: Scan) -> Iterator[tuple[str, Scan]]:
    """The voxels in another order on the same grid, and the upper fifth. Axes are those of the file."""
    for words, axis in (("mirrored", 0), ("upside down", 2), ("front and back swapped", 1)):
        yield f"{name}, {words}", _scan(np.flip(scan.data, axis), scan.affine)
    first = scan.data.shape[2] * 4 // 5
    affine = scan.affine.copy()
    affine[:3, 3] += first * affine[:3, 2]
    yield f"{name}, only its upper fifth", _scan(scan.data[:, :, first:], affine)


def _scan(data: np.ndarray, affine: np.ndarray) -> Scan:
    data = np.ascontiguousarray(data)
    return Scan(data, affine, geometry_header(data.shape, affine), data.shape)


def _dice(one: np.ndarray, two: np.ndarray) -> str:
    total = one.sum() + two.sum()
    return f"{2 * (one & two).sum() / total:.4f}" if total else "-"


if __name__ == "__main__":
    main()
