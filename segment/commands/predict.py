"""`segment predict`: segment CTs with a checkpoint. Nothing else is needed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, ListConfig

from segment import build
from segment.checkpoint import load_ensemble as ensemble
from segment.checkpoint.starter import STARTER
from segment.commands.command import hydra_command
from segment.commands.each_case import process_each, raise_failures
from segment.commands.mask_folder import (
    check_checkpoint,
    ct_path,
    mask_path,
    picture_paths,
    remove_outputs,
    write_checksums,
)
from segment.errors import UserError
from segment.inference.engines.choose import choose
from segment.inference.inputs.find_inputs import Input, find_inputs
from segment.inference.inputs.read_input import read_input
from segment.io.left_out import LeftOut, describe_group, group_by_reason
from segment.io.read import read_label
from segment.io.write import write_ct, write_mask
from segment.metrics.volumes_csv import VolumeTable
from segment.view import failsafe
from segment.view.overlay import write_overlay
from segment.view.video import write_video


def predict(cfg: DictConfig) -> None:
    """Segment every CT under `input`, with the network of a checkpoint or the mean of several.

    Without a checkpoint, the starter weights of the package are used.

    For each CT this writes

    - `<name>_seg.nii.gz`, the mask on the CT's own grid,
    - rows of `volumes.csv`, one for each organ,
    - with pictures=true, `<name>_overlay.png` and `<name>_organs.mp4`,
    - `<name>_straightened.nii.gz` if the DICOM series had to be straightened: the CT on the grid of the mask.

    `<name>` is the path of the CT below the input, for example `p1/ct`, so `output` has the same folders. If a CT
    fails, or two CTs would have the same mask file, the others are still segmented, and the errors are reported at the
    end. Files under `input` that are not segmented are listed with the reason.

    Raises:
        UserError: When there is no CT, the output exists or has masks of another checkpoint, or a CT failed.
    """
    choice = choose(cfg.engine, cfg.device, ensemble.names_exported(cfg.ckpt), build.device)
    output = Path(str(cfg.output))
    given = list(cfg.input) if isinstance(cfg.input, ListConfig) else [cfg.input]
    inputs, left_out = find_inputs(list(map(str, given)), output)
    if output.is_file() or (output.is_dir() and any(output.iterdir()) and not (cfg.resume or cfg.overwrite)):
        msg = (
            f"output={output} exists; choose another folder, or resume=true to keep the masks in it and add what is "
            "missing, or overwrite=true"
        )
        raise UserError(msg)
    clashing = [item for item in inputs if item.clash]
    sound = [item for item in inputs if not item.clash]
    existing = [item for item in inputs if mask_path(output, item).exists()]
    trained = ensemble.load(cfg.ckpt, cfg.trust, exported=True)
    trained.to(choice.device)
    if cfg.ckpt == STARTER:
        print("ckpt=starter: weights of the package, trained on synthetic CTs only; for research, see docs/starter.md")
    todo = [item for item in sound if cfg.overwrite or item not in existing]
    check_checkpoint(output, trained, bool(existing), todo if cfg.overwrite else None)
    if cfg.overwrite:
        for item in todo:
            remove_outputs(output, item)
    table = VolumeTable(output / "volumes.csv", trained.organs)
    _update_table(table, output, todo, kept=[item for item in sound if item not in todo])
    if todo:
        engine = choice.equip([member.segmenter for member in trained.members], len(todo))
        print(f"engine: {engine.describe()}")
    batch = _Batch(cfg, output, trained, table, left_out=left_out)
    failed = process_each({item.display_name: item for item in (*todo, *clashing)}, batch.segment)
    _conclude(output, len(inputs) - batch.not_cts, failed, left_out)


@dataclass
class _Batch:
    """All inputs of one call.

    Attributes:
        cfg: Options of the command.
        output: Folder of the masks.
        trained: The network.
        table: The volumes.
        left_out: Inputs that are not CTs, and ignored series in the folder of a CT, are appended here.
        not_cts: Number of inputs that are not CTs.
    """

    cfg: DictConfig
    output: Path
    trained: ensemble.Ensemble
    table: VolumeTable
    left_out: list[LeftOut]
    not_cts: int = 0

    def segment(self, item: Input) -> str:
        """Segment a CT and write its outputs; return how long it took, or why it was left out.

        Raises:
            UserError: When the CT cannot be read, or another CT would have the same mask file.
        """
        if item.clash:
            raise UserError(item.clash)
        start = time.monotonic()
        scan, left_out = read_input(item, self.cfg.series, self.cfg.straighten)
        self.left_out += left_out
        if scan is None:
            self.not_cts += 1
            return f"left out, {left_out[0].reason}"
        mask, organs = self.trained.segmenter(scan), self.trained.organs
        write_checksums(self.output, self.trained)
        if self.cfg.pictures:
            picture, video = picture_paths(self.output, item)
            with failsafe.warn_on_error(picture.name):
                write_overlay(picture, scan.data, mask, scan.affine, organs, title=item.name)
            with failsafe.warn_on_error(video.name):
                write_video(video, scan.data, mask, scan.affine, organs)
        if scan.is_straightened:
            write_ct(ct_path(self.output, item), scan)
        self.table.add(item.name, mask, scan.affine)
        # Last, because a resumed call skips CTs that have a mask.
        write_mask(mask_path(self.output, item), mask, scan)
        return f"{time.monotonic() - start:.1f} s"


def _conclude(output: Path, cts: int, failed: list[str], left_out: Sequence[LeftOut]) -> None:
    """Print how many CTs have a mask and what was left out.

    Raises:
        UserError: When a CT failed, or there was no CT.
    """
    lines = [describe_group(group) for group in group_by_reason(left_out)]
    if not cts:
        msg = "no CT among the inputs:\n  " + "\n  ".join(lines)
        raise UserError(msg)
    print(f"{cts - len(failed)} of {cts} masks are in {output}", *lines, sep="\n")
    raise_failures(failed, cts)


def _update_table(table: VolumeTable, output: Path, todo: Sequence[Input], kept: Sequence[Input]) -> None:
    """Make the table match the masks that are kept. An interrupted call may have left other rows."""
    table.remove({item.name for item in todo})
    known = table.cases()
    for item in kept:
        if item.name not in known:
            mask = read_label(mask_path(output, item))
            table.add(item.name, mask.data, mask.affine)


main = hydra_command("predict")(predict)

if __name__ == "__main__":
    main()
