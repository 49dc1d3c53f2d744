"""`segment predict`: masks of CTs from nothing but a checkpoint and the CTs."""

import csv
import glob
import io
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from segment import build
from segment.data.scan import SUFFIXES, Scan, case_name, read_ct, write_mask
from segment.door import door
from segment.errors import UserError
from segment.files import write_text
from segment.view.film import write_film
from segment.view.overlay import write_overlay

log = logging.getLogger(__name__)


def predict(cfg: DictConfig) -> None:
    """Segment every CT that `input` names.

    Writes `<name>_seg.nii.gz` on the CT's own grid, `volumes.csv` with a row per CT and organ, and with pictures=true
    `<name>_overlay.png` and `<name>_organs.mp4`. A CT that fails is named at the end; the others are done all the same.

    Raises:
        UserError: When there is nothing to do, a result exists already, or CTs failed.
    """
    inputs = find_inputs(str(cfg.input))
    output = Path(cfg.output)
    existing = [path for path in inputs if _mask_path(output, path).exists()]
    if existing and not (cfg.resume or cfg.overwrite):
        msg = (
            f"{output} holds {len(existing)} of these masks already, first {_mask_path(output, existing[0]).name}; choose "
            "another output, or resume=true to keep them, or overwrite=true"
        )
        raise UserError(msg)
    trained = build.load(cfg.ckpt, cfg.trust)
    trained.module.to(build.device(cfg.device))
    todo = [path for path in inputs if cfg.overwrite or path not in existing]
    failed: list[str] = []
    for number, path in enumerate(todo, start=1):
        try:
            seconds = _predict_one(path, output, trained, cfg.pictures)
            log.info("%d/%d %s: %.1f s", number, len(todo), path.name, seconds)
        except (UserError, OSError, RuntimeError) as error:
            failed.append(f"{path.name}: {error}")
            log.error("%d/%d %s: %s", number, len(todo), path.name, error)
    print(f"{len(inputs) - len(failed)} masks in {output}")
    if failed:
        msg = f"{len(failed)} of {len(inputs)} CTs failed:\n  " + "\n  ".join(failed)
        raise UserError(msg)


def find_inputs(pattern: str) -> list[Path]:
    """CT files that a file, a folder or a glob names, sorted.

    Raises:
        UserError: When there are none, or two would write the same mask.
    """
    path = Path(pattern)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.name.endswith(SUFFIXES))
    elif path.is_file():
        found = [path]
    else:
        found = sorted(Path(p) for p in glob.glob(pattern, recursive=True) if p.endswith(SUFFIXES))
    if not found:
        msg = f"no CT at input={pattern}; name a file, a folder or a glob of {', '.join(SUFFIXES)}"
        raise UserError(msg)
    names = [case_name(p) for p in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        msg = f"several inputs are called {twice[0]!r} and would write one mask; give them different names"
        raise UserError(msg)
    return found


def _predict_one(path: Path, output: Path, trained: build.Trained, pictures: bool) -> float:
    start = time.monotonic()
    scan = read_ct(path)
    mask = trained.segmenter(scan)
    if pictures:
        name = case_name(path)
        write_overlay(output / f"{name}_overlay.png", scan.data, mask, scan.affine, trained.organs, title=name)
        write_film(output / f"{name}_organs.mp4", scan.data, mask, scan.affine, trained.organs)
    _add_volumes(output / "volumes.csv", case_name(path), mask, scan, trained.organs)
    # Last, because an existing mask tells a resumed call that the case is done.
    write_mask(_mask_path(output, path), mask, scan)
    return time.monotonic() - start


def _mask_path(output: Path, path: Path) -> Path:
    return output / f"{case_name(path)}_seg.nii.gz"


def _add_volumes(path: Path, name: str, mask: np.ndarray, scan: Scan, organs: Sequence[str]) -> None:
    """Put a CT's rows into the table, in place of older ones."""
    rows: list[list[str]] = []
    if path.exists():
        with path.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row[0] not in ("case", name)]
    voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
    counts = np.bincount(mask.ravel(), minlength=1 + len(organs))
    rows += [[name, organ, f"{count * voxel_ml:.2f}"] for organ, count in zip(organs, counts[1:], strict=True)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["case", "organ", "volume_ml"], *rows])
    write_text(path, text.getvalue())


main = door("predict")(predict)

if __name__ == "__main__":
    main()
