"""`segment evaluate`: score a checkpoint on labelled CTs, on their own grids."""

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from segment import build, run
from segment.data.cases import gather
from segment.data.dataset import ScanDataset
from segment.data.fingerprint import voxel_hash
from segment.door import door
from segment.errors import UserError
from segment.metrics.scores import score_case
from segment.metrics.table import print_scores
from segment.view.report import CaseReport

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> None:
    """Write cases.csv and pictures, and print the means.

    Cases that the checkpoint was trained or selected on, known by their voxels, are left out. A case that fails is
    named at the end; the others are done all the same.

    Raises:
        UserError: When no case is left, or cases failed.
    """
    trained = build.load(cfg.ckpt, cfg.trust)
    trained.module.to(build.device(cfg.device))
    cases = gather({name: instantiate(node, _convert_="all") for name, node in cfg.data.sources.items()})
    scans = ScanDataset(cases, trained.organs)
    seen = set() if cfg.include_trained else set(trained.facts.get("voxel_hashes", []))
    left_out: list[str] = []
    failed: list[str] = []
    with run.begin(cfg) as here:
        run.record(here, cfg, {"test": [case.id for case in cases]})
        report = CaseReport(here.folder, trained.organs, overlay=cfg.pictures, film=cfg.pictures)
        for index, case in enumerate(cases):
            try:
                labelled = scans[index]
                if voxel_hash(labelled.scan.data) in seen:
                    left_out.append(case.id)
                    continue
                mask = trained.segmenter(labelled.scan)
                affine, tolerance_mm = labelled.scan.affine, trained.module.tolerance_mm
                scores = score_case(mask, labelled.truth, affine, trained.organs, tolerance_mm)
                report.add(labelled, mask, scores)
                log.info("%s: %s", case.id, ", ".join(f"{s.organ} {s.dice:.3f}" for s in scores))
            except (UserError, RuntimeError) as error:
                failed.append(f"{case.id}: {error}")
        _conclude(here.folder, len(cases), left_out, failed)


def _conclude(folder: Path, total: int, left_out: list[str], failed: list[str]) -> None:
    if left_out:
        print(f"left out {len(left_out)} of {total} cases that the checkpoint was trained or selected on")
    if len(left_out) == total:
        msg = "no case is left to score; give other data, or include_trained=true, which measures memory, not skill"
        raise UserError(msg)
    print_scores(folder / "cases.csv")
    print(f"run folder: {folder}")
    if failed:
        msg = f"{len(failed)} of {total} cases failed:\n  " + "\n  ".join(failed)
        raise UserError(msg)


main = door("evaluate")(evaluate)

if __name__ == "__main__":
    main()
