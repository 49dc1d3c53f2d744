"""The confidence on real CTs that no training saw: predicted against true Dice, as they are and with provoked faults.

    python benchmarks/confidence.py [checkpoint] [--faults 10] [--cache FOLDER] [--case CT LABEL CODES]

The checkpoint, by default `starter`, needs a calibration beside it. The CTs are those of benchmarks/real_ct.py.
"""

import argparse

from real_ct import add_arguments, real_cases
from rich.console import Console
from rich.table import Table

from segment.checkpoint.load_ensemble import load
from segment.data.volumes import LabelledScan
from segment.datasets.annotation import known_classes
from segment.inference.confidence.provoke import measure_rows
from segment.inference.confidence.report_card import judge_rows, print_card
from segment.inference.engines.choose import AUTO, choose
from segment.inference.outputs.default_anatomy import default_anatomy


def main() -> None:
    """Segment all CTs and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="starter")
    parser.add_argument("--faults", type=int, default=10, help="kinds of faults that are provoked in each CT")
    add_arguments(parser)
    args = parser.parse_args()
    trained, anatomy = load(args.checkpoint), default_anatomy()
    calibration = trained.calibrated.calibration
    if calibration is None:
        raise SystemExit(trained.calibrated.words)
    choose(AUTO, AUTO, False).equip([member.segmenter for member in trained.members], cts=1000)
    rows = []
    for case in real_cases(args.cache, args.case):
        scan = case.read()
        reference = case.label.read(scan, case.image, trained.organs)
        labelled = LabelledScan(case.id, scan, reference, known_classes(case.label, trained.organs))
        rows += measure_rows(labelled, trained.segmenter, trained.organs, anatomy, args.faults)
    judged = judge_rows(rows, calibration, anatomy)
    _print_organs(judged)
    print_card(judged)


def _print_organs(judged) -> None:
    """A row for each organ of each mask."""
    table = Table("CT", "fault", "organ", "Dice", "predicted", "colour and reasons")
    for row, one in zip(judged.rows, judged.confidences, strict=True):
        predicted = "-" if one.dice is None else f"{one.dice:.2f} ({one.low:.2f} to {one.high:.2f})"
        words = f"{one.color or 'none'}: {'; '.join(one.reasons)}"
        table.add_row(row.case, row.fault, row.organ, f"{row.dice:.3f}", predicted, words)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
