"""`segment predict`: masks of CTs from nothing but a checkpoint and the CTs."""

import glob
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from segment import build, ensemble
from segment.batch import name_failures, work_through
from segment.data.readers.advice import FOR_PREDICTION
from segment.data.readers.dicom import holds_series, is_series
from segment.data.readers.read import read_ct, read_label
from segment.data.readers.scan import SUFFIXES, case_name, write_ct, write_mask
from segment.door import door
from segment.errors import UserError
from segment.files import write_text
from segment.metrics.volumes import VolumeTable
from segment.view.film import write_film
from segment.view.overlay import write_overlay

ENDING = "_seg"  # what the name of a CT's mask has after the CT's
STRAIGHTENED = "_straightened"  # and the name of a CT whose mask lies on another grid than its files
MADE_BY = "checkpoint.sha256"  # tells, as sha256sum would, whose masks a folder holds


def predict(cfg: DictConfig) -> None:
    """Segment every CT that `input` names, with the network of a checkpoint or the mean of several.

    Writes `<name>_seg.nii.gz` on the CT's own grid, `volumes.csv` with a row per CT and organ, `checkpoint.sha256`, and
    with pictures=true `<name>_overlay.png` and `<name>_organs.mp4`. A DICOM series that had to be straightened lies on
    another grid than its mask: with it comes `<name>_straightened.nii.gz`, the CT on the mask's grid. A CT that fails
    is named at the end; the others are done all the same.

    Raises:
        UserError: When there is nothing to do, the output exists already or is another checkpoint's, or CTs failed.
    """
    inputs = find_inputs(str(cfg.input))
    output = Path(str(cfg.output))
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not (cfg.resume or cfg.overwrite)):
        msg = (
            f"output={output} exists; choose another folder, or resume=true to keep the masks in it and add what is "
            "missing, or overwrite=true"
        )
        raise UserError(msg)
    existing = [path for path in inputs if _mask_path(output, path).exists()]
    trained = ensemble.load(cfg.ckpt, cfg.trust)
    trained.to(build.device(cfg.device))
    todo = [path for path in inputs if cfg.overwrite or path not in existing]
    _claim(output, trained, bool(existing), cfg.overwrite)
    for path in todo if cfg.overwrite else []:
        for made in (_mask_path(output, path), _ct_path(output, path), *_picture_paths(output, path)):
            made.unlink(missing_ok=True)  # so that nothing old is taken for new, whatever interrupts this call
    table = VolumeTable(output / "volumes.csv", trained.organs)
    _tidy(table, output, todo, kept=[path for path in inputs if path not in todo])
    failed = work_through({path.name: path for path in todo}, lambda path: _predict_one(path, trained, table, cfg))
    print(f"{len(inputs) - len(failed)} of {len(inputs)} masks are in {output}")
    name_failures(failed, len(inputs))


def find_inputs(pattern: str) -> list[Path]:
    """CTs that a file, a folder or a glob names, sorted: files, and folders of DICOM series.

    A folder is a series itself if DICOM files lie right in it, else its subfolders may be; of folders in one another,
    all of which a glob names, each series is found once, in the folder where its files lie. Masks and straightened CTs
    that this command has written beside the CTs are no CTs.

    Raises:
        UserError: When there are none, or two would write the same mask.
    """
    path = Path(pattern)
    if path.is_file() or (path.is_dir() and holds_series(path)):
        found = [path if path.name else path.resolve()]  # "." has no name to call a mask after
        if path.is_dir() and (volume := next((p for p in path.iterdir() if p.name.endswith(SUFFIXES)), None)):
            msg = f"input={pattern} holds DICOM files and {volume.name} side by side; name one of them, or part them"
            raise UserError(msg)
    else:
        # Path.glob takes no absolute pattern.
        matches = glob.glob(pattern, recursive=True)  # noqa: PTH207
        paths = path.iterdir() if pattern and path.is_dir() else map(Path, matches)
        found = _once(sorted(p for p in paths if _is_ct(p)))
    names = [case_name(p) for p in found]
    written = {f"{case_name(p)}{ending}" for p in found for ending in (ENDING, STRAIGHTENED)}
    found = [p for p in found if case_name(p) not in written]
    if not found:
        msg = f"no CT at input={pattern}; name a file, a folder or a glob of {', '.join(SUFFIXES)} or DICOM series"
        raise UserError(msg)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = f"several inputs are called {twice[0]!r} and would write one mask; give them different names"
        raise UserError(msg)
    return found


def _once(found: Sequence[Path]) -> list[Path]:
    """Without folders above or below the one that holds a series' files: read with all below, they are the same CT."""
    folders = {path for path in found if path.is_dir()}
    above = {parent for path in folders for parent in path.parents}
    if not above & folders:
        return list(found)
    holding = {path for path in folders if _holds(path)}
    tops = {path for path in holding if not holding & {*path.parents}}
    return [p for p in found if p not in folders or p in tops or not (p in above or tops & {*p.parents})]


def _holds(folder: Path) -> bool:
    try:
        return holds_series(folder)
    except UserError:  # a damaged file, of which its CT's turn will tell
        return True


def _is_ct(path: Path) -> bool:
    return not path.name.startswith(".") and (is_series(path) if path.is_dir() else path.name.endswith(SUFFIXES))


def _predict_one(path: Path, trained: ensemble.Ensemble, table: VolumeTable, cfg: DictConfig) -> str:
    """Segment a CT and write all that belongs to it; returns how long that took."""
    start = time.monotonic()
    output = Path(str(cfg.output))
    scan, name = read_ct(path, cfg.series, cfg.straighten, FOR_PREDICTION), case_name(path)
    mask = trained.segmenter(scan)
    if cfg.pictures:
        picture, film = _picture_paths(output, path)
        write_overlay(picture, scan.data, mask, scan.affine, trained.organs, title=name)
        write_film(film, scan.data, mask, scan.affine, trained.organs)
    if scan.is_straightened:
        write_ct(_ct_path(output, path), scan)
    table.add(name, mask, scan.affine)
    # Last, because an existing mask tells a resumed call that the case is done.
    write_mask(_mask_path(output, path), mask, scan)
    return f"{time.monotonic() - start:.1f} s"


def _mask_path(output: Path, path: Path) -> Path:
    return output / f"{case_name(path)}{ENDING}.nii.gz"


def _ct_path(output: Path, path: Path) -> Path:
    return output / f"{case_name(path)}{STRAIGHTENED}.nii.gz"


def _picture_paths(output: Path, path: Path) -> tuple[Path, Path]:
    return output / f"{case_name(path)}_overlay.png", output / f"{case_name(path)}_organs.mp4"


def _claim(output: Path, trained: ensemble.Ensemble, holds_masks: bool, overwrite: bool) -> None:
    """Write down whose masks the folder holds.

    Raises:
        UserError: When they are, or may be, those of another checkpoint.
    """
    record, ours = output / MADE_BY, trained.sha256
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    theirs = [line.split(" ")[0] for line in lines] or None
    if not overwrite and theirs != ours and (holds_masks or theirs is not None):
        names = ", ".join(map(str, trained.paths))
        msg = f"the masks in {output} are not known to be of {names}; choose another output, or overwrite=true"
        raise UserError(msg)
    write_text(record, "".join(f"{sha}  {path.name}\n" for sha, path in zip(ours, trained.paths, strict=True)))


def _tidy(table: VolumeTable, output: Path, todo: Sequence[Path], kept: Sequence[Path]) -> None:
    """Make the table that of the masks that are kept, whatever an interrupted call left."""
    table.forget({case_name(path) for path in todo})
    known = table.cases()
    for path in kept:
        if case_name(path) not in known:
            mask = read_label(_mask_path(output, path))
            table.add(case_name(path), mask.data, mask.affine)


main = door("predict")(predict)

if __name__ == "__main__":
    main()
