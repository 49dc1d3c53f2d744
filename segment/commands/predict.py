"""`segment predict`: masks of CTs from nothing but a checkpoint and the CTs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from segment import build
from segment.checkpoint import load_ensemble as ensemble
from segment.commands.command import hydra_command
from segment.commands.each_case import name_failures, work_through
from segment.errors import UserError
from segment.files import write_text
from segment.inference.inputs.find import ENDING, STRAIGHTENED, Input, find_inputs
from segment.inference.inputs.read import read_input
from segment.io.left_out import SHOWN, LeftOut, grouped, line
from segment.io.read import read_label
from segment.io.scan import write_ct, write_mask
from segment.metrics.volumes_csv import VolumeTable
from segment.view import failsafe as guard
from segment.view.overlay import write_overlay
from segment.view.video import write_video

MADE_BY = "checkpoint.sha256"  # tells, as sha256sum would, whose masks a folder holds


def predict(cfg: DictConfig) -> None:
    """Segment every CT under `input`, with the network of a checkpoint or the mean of several.

    Writes `<name>_seg.nii.gz` on the CT's own grid, `volumes.csv` with a row per CT and organ, `checkpoint.sha256`, and
    with pictures=true `<name>_overlay.png` and `<name>_organs.mp4`. The name is the CT's path below the input, so that
    `output` mirrors its folders. A DICOM series that had to be straightened lies on another grid than its mask: with it
    comes `<name>_straightened.nii.gz`, the CT on the mask's grid. A CT that fails, or whose mask would have the name of
    another's, is named at the end; the others are done all the same. What else lies under `input` is named with the
    reason why it is left out.

    Raises:
        UserError: When there is no CT, the output exists already or is another checkpoint's, or CTs failed.
    """
    output = Path(str(cfg.output))
    given = list(cfg.input) if isinstance(cfg.input, ListConfig) else [cfg.input]
    inputs, left_out = find_inputs(list(map(str, given)), output)
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not (cfg.resume or cfg.overwrite)):
        msg = (
            f"output={output} exists; choose another folder, or resume=true to keep the masks in it and add what is "
            "missing, or overwrite=true"
        )
        raise UserError(msg)
    clashing = [one for one in inputs if one.clash]
    sound = [one for one in inputs if not one.clash]
    existing = [one for one in inputs if _mask_path(output, one).exists()]
    trained = ensemble.load(cfg.ckpt, cfg.trust)
    trained.to(build.device(cfg.device))
    todo = [one for one in sound if cfg.overwrite or one not in existing]
    _check_owner(output, trained, bool(existing), todo if cfg.overwrite else None)
    for one in todo if cfg.overwrite else []:
        for made in (_mask_path(output, one), _ct_path(output, one), *_picture_paths(output, one)):
            made.unlink(missing_ok=True)  # so that nothing old is taken for new, whatever interrupts this call
    table = VolumeTable(output / "volumes.csv", trained.organs)
    _tidy(table, output, todo, kept=[one for one in sound if one not in todo])
    work = _Work(cfg, output, trained, table, left_out=left_out)
    failed = work_through({one.shown: one for one in (*todo, *clashing)}, work.segment)
    _conclude(output, len(inputs) - work.no_cts, failed, left_out)


@dataclass
class _Work:
    """What is the same for all inputs of a call.

    Attributes:
        cfg: Options of the command.
        output: Folder of the masks.
        trained: The network.
        table: Of volumes.
        left_out: Gets inputs that turn out to be no CTs, and series that are left out in the folder of a CT.
        no_cts: Number of these inputs.
    """

    cfg: DictConfig
    output: Path
    trained: ensemble.Ensemble
    table: VolumeTable
    left_out: list[LeftOut]
    no_cts: int = 0

    def segment(self, one: Input) -> str:
        """Segment a CT and write all that belongs to it; returns how long that took, or why it is left out.

        Raises:
            UserError: When it cannot be read, or its mask would have the name of another's.
        """
        if one.clash:
            raise UserError(one.clash)
        start = time.monotonic()
        scan, left_out = read_input(one, self.cfg.series, self.cfg.straighten)
        self.left_out += left_out
        if scan is None:
            self.no_cts += 1
            return f"left out, {left_out[0].reason}"
        mask, organs = self.trained.segmenter(scan), self.trained.organs
        _sign(self.output, self.trained)
        if self.cfg.pictures:
            picture, video = _picture_paths(self.output, one)
            with guard.picture(picture.name):
                write_overlay(picture, scan.data, mask, scan.affine, organs, title=one.name)
            with guard.picture(video.name):
                write_video(video, scan.data, mask, scan.affine, organs)
        if scan.is_straightened:
            write_ct(_ct_path(self.output, one), scan)
        self.table.add(one.name, mask, scan.affine)
        # Last, because an existing mask tells a resumed call that the case is done.
        write_mask(_mask_path(self.output, one), mask, scan)
        return f"{time.monotonic() - start:.1f} s"


def _conclude(output: Path, cts: int, failed: list[str], left_out: Sequence[LeftOut]) -> None:
    """Print how many CTs have a mask and what was left out.

    Raises:
        UserError: When CTs failed, or there was none.
    """
    lines = [line(group) for group in grouped(left_out)]
    if not cts:
        msg = "no CT among the inputs:\n  " + "\n  ".join(lines)
        raise UserError(msg)
    print(f"{cts - len(failed)} of {cts} masks are in {output}", *lines, sep="\n")
    name_failures(failed, cts)


def _mask_path(output: Path, one: Input) -> Path:
    return output / f"{one.name}{ENDING}.nii.gz"


def _ct_path(output: Path, one: Input) -> Path:
    return output / f"{one.name}{STRAIGHTENED}.nii.gz"


def _picture_paths(output: Path, one: Input) -> tuple[Path, Path]:
    return output / f"{one.name}_overlay.png", output / f"{one.name}_organs.mp4"


def _check_owner(
    output: Path, trained: ensemble.Ensemble, holds_masks: bool, overwritten: Sequence[Input] | None
) -> None:
    """Refuse a folder that would keep masks that are, or may be, those of another checkpoint.

    Args:
        output: The folder.
        trained: The network of this call.
        holds_masks: Whether there are masks of the inputs.
        overwritten: Whose masks are made anew whatever is there; None: only missing masks are made.

    Raises:
        UserError: When it would.
    """
    record, ours = output / MADE_BY, trained.sha256
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    theirs = [line.split(" ")[0] for line in lines] or None
    names = ", ".join(map(str, trained.paths))
    if theirs == ours:
        return
    if overwritten is None and (holds_masks or theirs is not None):
        msg = f"the masks in {output} are not known to be of {names}; choose another output, or overwrite=true"
        raise UserError(msg)
    kept = {*output.rglob(f"*{ENDING}.nii.gz")} - {_mask_path(output, one) for one in overwritten or ()}
    if kept:
        first = ", ".join(sorted(path.relative_to(output).as_posix() for path in kept)[:SHOWN])
        msg = (
            f"{output} holds {len(kept)} mask(s) that are not known to be of {names} and whose CTs this call does not "
            f"segment: {first}{' …' * (len(kept) > SHOWN)}; add these CTs with overwrite=true, move the masks away, or "
            "choose another output"
        )
        raise UserError(msg)


def _sign(output: Path, trained: ensemble.Ensemble) -> None:
    """Write down whose masks the folder holds, before the first."""
    pairs = zip(trained.sha256, trained.paths, strict=True)
    text = "".join(f"{sha}  {path.name}\n" for sha, path in pairs)
    record = output / MADE_BY
    if not record.exists() or record.read_text(encoding="utf-8") != text:
        write_text(record, text)


def _tidy(table: VolumeTable, output: Path, todo: Sequence[Input], kept: Sequence[Input]) -> None:
    """Make the table that of the masks that are kept, whatever an interrupted call left."""
    table.forget({one.name for one in todo})
    known = table.cases()
    for one in kept:
        if one.name not in known:
            mask = read_label(_mask_path(output, one))
            table.add(one.name, mask.data, mask.affine)


main = hydra_command("predict")(predict)

if __name__ == "__main__":
    main()
