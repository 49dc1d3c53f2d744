"""`segment evaluate`: score a checkpoint on labelled CTs, on the CTs' own grids."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from segment.callbacks.case_report import CaseReport
from segment.checkpoint import load_ensemble as ensemble
from segment.commands import configured_cases
from segment.commands.calibrating import Calibrating, check_calibrating
from segment.commands.command import hydra_command
from segment.commands.each_case import process_each, raise_failures
from segment.commands.pages import page_at_end, write_page_of_run
from segment.commands.tuning import Tuning
from segment.configuration.instantiate import instantiate, plain_values
from segment.data.scan_cache import ScanCache
from segment.data.splits.split import not_made
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import VERSION, voxel_hash
from segment.data.store.store import CONTENT
from segment.data.volumes import ScanDataset
from segment.datasets.annotation import unknown_organs
from segment.datasets.cases import Case, patient_aliases
from segment.errors import UserError
from segment.inference.device import find_device
from segment.metrics.cases_csv import create_cases, print_scores, read_cases
from segment.metrics.scores import score_case
from segment.run.open_run import open_run
from segment.run.record import record


def evaluate(cfg: DictConfig) -> None:
    """Score all cases, write cases.csv and pictures, and print the means.

    Cases that the checkpoint was trained or selected on are left out, recognised by name or by voxels. For example, on
    the data set of the training only the test cases are scored. With several checkpoints, a case is left out if any
    of them has seen it. If a case fails, the others are still scored, and the error is reported at the end. With
    tune_postprocessing=true, the cases also decide which steps of the post-processing a copy of the checkpoint has.
    With confidence=, every case is also segmented with provoked faults, to learn to predict the Dice, or to check it.

    Raises:
        UserError: When the data has no label for an organ, no case is left, the split has no test case, a case failed,
            or confidence= needs what is not there.
    """
    trained = ensemble.load(cfg.ckpt, cfg.trust, tta=cfg.tta)
    check_calibrating(cfg.confidence, trained)
    trained.to(find_device(cfg.device))
    cases = not_made(configured_cases.cases(cfg.data))
    if cfg.get("split"):
        cases = list(instantiate(cfg.split)(cases).test)
        if not cases:
            msg = "the split has no test case to score; choose one that has, or leave split= out to score all cases"
            raise UserError(msg)
    _check_organs(cases, trained.organs)
    content_record = ContentRecord(Path(cfg.cache_dir) / CONTENT)
    reader = ScanCache()
    leave_out_seen = bool(trained.voxel_hashes) and not cfg.include_trained
    known = trained.cases if leave_out_seen else ()  # left out by name, so their voxels need not be read
    hashes = {case.id: _hash(case, content_record, reader) for case in cases if case.id not in known}
    if leave_out_seen:
        cases = _held_out(cases, hashes, trained.voxel_hashes, trained.cases)
    facts = {
        "ckpt_sha256": trained.sha256 if len(trained.sha256) > 1 else trained.sha256[0],
        "data_sha256": _data_sha256(cases, hashes),
        "tolerance_mm": trained.tolerance_mm,
    }
    with open_run(cfg, "evaluate.log", facts) as run:
        recipes = [member.metadata.get("trained", {}) for member in trained.members]
        metadata = {
            "cases": {case.id: hashes[case.id] for case in cases},
            "patients": patient_aliases(cases),
            "trained": recipes,
        }
        record(run, cfg, {"test": [case.id for case in cases]}, metadata, facts)
        tuning = Tuning(trained, instantiate(cfg.postprocess), run.folder) if cfg.tune_postprocessing else None
        calibrating = None
        if cfg.confidence:
            calibrating = Calibrating(trained, cfg.confidence, cfg.faults, run.folder, cfg.device)
        observers = [one for one in (tuning, calibrating) if one]
        failed = _score(cases, trained, cfg.pictures, run.folder, reader, observers)
        print_scores(run.folder / "cases.csv")
        if tuning:
            tuning.conclude(plain_values(cfg.postprocess), {case.id: hashes[case.id] for case in cases})
        if calibrating:
            calibrating.conclude()
        print(f"run folder: {run.folder}")
        page_at_end(cfg.page, run.folder, write_page_of_run)
        raise_failures(failed, len(cases))


def _check_organs(cases: Sequence[Case], organs: Sequence[str]) -> None:
    """Refuse data that lacks an organ of the checkpoint, and print the organs that no case annotates."""
    try:
        unknown = unknown_organs({case.id: case.label for case in cases}, organs)
    except UserError as error:
        msg = f"the checkpoint segments {', '.join(organs)}, but {error}"
        raise UserError(msg) from error
    if unknown:
        print(f"not scored, because no case annotates it: {', '.join(unknown)}")


def _held_out(
    cases: Sequence[Case], hashes: Mapping[str, str], seen_hashes: Collection[str], seen_ids: Collection[str]
) -> list[Case]:
    """Cases of patients of whom the checkpoint has seen no case.

    Args:
        cases: All cases.
        hashes: Voxel hashes by case id.
        seen_hashes: Voxel hashes of the cases that the checkpoint was trained or selected on.
        seen_ids: Ids of these cases.

    Raises:
        UserError: When no case is left.
    """
    seen_patients = {case.patient for case in cases if case.id in seen_ids or hashes[case.id] in seen_hashes}
    kept = [case for case in cases if case.patient not in seen_patients]
    if len(kept) < len(cases):
        print(
            f"left out {len(cases) - len(kept)} of {len(cases)} cases: the checkpoint was trained or selected on them, "
            "by their names or voxels; if names of other patients are equal by chance, rename the files"
        )
    if not kept:
        msg = (
            "no case is left to score; give other data, or include_trained=true (training cases score too high). If "
            "names of other patients are equal by chance, rename the files"
        )
        raise UserError(msg)
    return kept


def _hash(case: Case, content_record: ContentRecord, reader: ScanCache) -> str:
    """Hash of a CT's voxels; empty when the CT cannot be read. Hashes of unchanged files come from the record."""
    try:
        return content_record.get_or_compute(
            case.image, lambda: voxel_hash(reader.read_and_keep(case).data), f"voxels {VERSION} {case.series}"
        )
    except UserError:
        return ""  # scoring the case will report the error


def _data_sha256(cases: Sequence[Case], hashes: Mapping[str, str]) -> str:
    """Hash of all voxels and label files. It detects data that changed under the same case names."""
    digest = hashlib.sha256()
    for case in cases:
        try:
            label = hashlib.sha256(b"".join(path.read_bytes() for path in case.label.files)).hexdigest()
        except OSError:
            label = ""
        digest.update(f"{case.id} {hashes[case.id]} {label}\n".encode())
    return digest.hexdigest()


def _score(
    cases: Sequence[Case],
    trained: ensemble.Ensemble,
    pictures: bool,
    folder: Path,
    reader: ScanCache,
    observers: Sequence[Tuning | Calibrating],
) -> list[str]:
    """Score the cases that are not in cases.csv yet; return names and errors of the cases that failed."""
    table = folder / "cases.csv"
    if not table.exists():
        create_cases(table)
    done = {case for case, _ in read_cases(table)}
    scans = ScanDataset(cases, trained.organs, reader)
    report = CaseReport(folder, trained.organs, overlay=pictures, video=pictures)

    def score(index: int) -> str:
        labelled = scans[index]
        mask = trained.segmenter(labelled.scan)
        affine, tolerance_mm = labelled.scan.affine, trained.tolerance_mm
        for observer in observers:
            observer.add(labelled)
        scores = score_case(mask, labelled.reference, affine, trained.organs, tolerance_mm, labelled.annotated)
        report.add(labelled, mask, scores)
        return ", ".join(f"{score.organ} {score.dice:.3f}" for score in scores)

    missing = {case.id: index for index, case in enumerate(cases) if case.id not in done}
    reader.keep_only(missing)
    return process_each(missing, score)


main = hydra_command("evaluate")(evaluate)

if __name__ == "__main__":
    main()
