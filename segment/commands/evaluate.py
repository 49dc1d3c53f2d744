"""`segment evaluate`: score a checkpoint on labelled CTs, on their own grids."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from segment import build
from segment.callbacks.case_report import CaseReport
from segment.checkpoint import load_ensemble as ensemble
from segment.commands.command import hydra_command
from segment.commands.each_case import name_failures, work_through
from segment.data.ahead import ReadAhead
from segment.data.store.content import ContentRecord
from segment.data.store.fingerprint import VERSION, voxel_hash
from segment.data.store.store import CONTENT
from segment.data.volumes import ScanDataset
from segment.datasets.annotation import unknown_organs
from segment.datasets.cases import Case, of_one_patient
from segment.errors import UserError
from segment.metrics.cases_csv import begin_cases, print_scores, read_cases
from segment.metrics.scores import score_case
from segment.run.open_run import open_run
from segment.run.record import record


def evaluate(cfg: DictConfig) -> None:
    """Write cases.csv and pictures, and print the means.

    Cases that the checkpoint, or any of several, was trained or selected on, known by their voxels, are left out: of
    the data set that it was trained on, the test cases remain. A case that fails is named at the end; the others are
    done all the same.

    Raises:
        UserError: When data sets lack an organ, no case is left, or cases failed.
    """
    trained = ensemble.load(cfg.ckpt, cfg.trust)
    trained.to(build.device(cfg.device))
    cfg.ckpt_sha256 = trained.sha256 if len(trained.sha256) > 1 else trained.sha256[0]
    cfg.tolerance_mm = trained.tolerance_mm
    cases = build.cases(cfg.data)
    if cfg.get("split"):
        cases = list(instantiate(cfg.split, _convert_="all")(cases).test)
    _check_organs(cases, trained.organs)
    seen = trained.voxel_hashes
    kept = ContentRecord(Path(cfg.cache_dir) / CONTENT)
    reader = ReadAhead()
    is_held_out = bool(seen) and not cfg.include_trained
    known = trained.cases if is_held_out else ()  # which are left out whatever they hold
    contents = {case.id: _content(case, kept, reader) for case in cases if case.id not in known}
    if is_held_out:
        cases = _held_out(cases, contents, seen, trained.cases)
    cfg.data_sha256 = _data_sha256(cases, contents)
    with open_run(cfg, "evaluate.log") as here:
        recipes = [member.facts.get("trained", {}) for member in trained.members]
        facts = {
            "cases": {case.id: contents[case.id] for case in cases},
            "patients": of_one_patient(cases),
            "trained": recipes,
        }
        record(here, cfg, {"test": [case.id for case in cases]}, facts)
        failed = _score(cases, trained, cfg.pictures, here.folder, reader)
        print_scores(here.folder / "cases.csv")
        print(f"run folder: {here.folder}")
        name_failures(failed, len(cases))


def _check_organs(cases: Sequence[Case], organs: Sequence[str]) -> None:
    try:
        unknown = unknown_organs({case.id: case.label for case in cases}, organs)
    except UserError as error:
        msg = f"the checkpoint segments {', '.join(organs)}, but {error}"
        raise UserError(msg) from error
    if unknown:
        print(f"not scored, because no case annotates it: {', '.join(unknown)}")


def _held_out(
    cases: Sequence[Case], contents: Mapping[str, str], seen: Collection[str], before: Collection[str]
) -> list[Case]:
    """Cases whose voxels the checkpoint has not seen, of patients of whom it has seen nothing.

    Raises:
        UserError: When none is left.
    """
    patients = {case.patient for case in cases if case.id in before or contents[case.id] in seen}
    kept = [case for case in cases if case.patient not in patients]
    if len(kept) < len(cases):
        print(
            f"left out {len(cases) - len(kept)} of {len(cases)} cases: the checkpoint was trained or selected on them"
        )
    if not kept:
        msg = "no case is left to score; give other data, or include_trained=true, which measures memory, not skill"
        raise UserError(msg)
    return kept


def _content(case: Case, kept: ContentRecord, reader: ReadAhead) -> str:
    """Hash of a CT's voxels, which are read once while its files do not change; empty when they cannot be read."""
    try:
        return kept.kept(case.image, lambda: voxel_hash(reader.ahead(case).data), f"voxels {VERSION} {case.series}")
    except UserError:
        return ""  # the attempt to score it will tell what is wrong


def _data_sha256(cases: Sequence[Case], contents: Mapping[str, str]) -> str:
    """Hash of the CTs' voxels and the label files, which the names of cases do not tell from others."""
    digest = hashlib.sha256()
    for case in cases:
        try:
            label = hashlib.sha256(b"".join(path.read_bytes() for path in case.label.files)).hexdigest()
        except OSError:
            label = ""
        digest.update(f"{case.id} {contents[case.id]} {label}\n".encode())
    return digest.hexdigest()


def _score(
    cases: Sequence[Case], trained: ensemble.Ensemble, pictures: bool, folder: Path, reader: ReadAhead
) -> list[str]:
    """Score the cases that the table does not hold yet; returns names and reasons of those that failed."""
    table = folder / "cases.csv"
    if not table.exists():
        begin_cases(table)
    done = {case for case, _ in read_cases(table)}
    scans = ScanDataset(cases, trained.organs, reader)
    report = CaseReport(folder, trained.organs, overlay=pictures, video=pictures)

    def score(index: int) -> str:
        labelled = scans[index]
        mask = trained.segmenter(labelled.scan)
        affine, tolerance_mm = labelled.scan.affine, trained.tolerance_mm
        scores = score_case(mask, labelled.reference, affine, trained.organs, tolerance_mm, labelled.annotated)
        report.add(labelled, mask, scores)
        return ", ".join(f"{score.organ} {score.dice:.3f}" for score in scores)

    missing = {case.id: index for index, case in enumerate(cases) if case.id not in done}
    reader.forget_all_but(missing)
    return work_through(missing, score)


main = hydra_command("evaluate")(evaluate)

if __name__ == "__main__":
    main()
