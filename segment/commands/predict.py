"""`segment predict`: segment CTs with a checkpoint. Nothing else is needed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.sides import warn_of_sides
from segment.checkpoint import load_ensemble as ensemble
from segment.checkpoint.starter import STARTER
from segment.commands.command import hydra_command
from segment.commands.confidence_lines import confidence_lines
from segment.commands.each_case import process_each, raise_failures
from segment.commands.mask_folder import check_checkpoint, check_options, kept_masks
from segment.commands.pages import page_at_end, remove_page
from segment.commands.predict_batch import Batch
from segment.commands.predict_watch import check_watch, watch
from segment.commands.prediction_page import write_page_of_inputs
from segment.configuration.instantiate import instantiate
from segment.errors import UserError
from segment.inference.engines.choose import MANY_CTS, Choice, choose
from segment.inference.inputs.find_inputs import Input, find_inputs
from segment.inference.outputs.manifest import Manifest
from segment.inference.outputs.names import mask_path
from segment.inference.outputs.organ_numbers import organ_numbers
from segment.io.left_out import LeftOut, describe_group, group_by_reason
from segment.io.write_dicom_seg import has_highdicom
from segment.view.page.document import PAGE


def predict(cfg: DictConfig) -> None:
    """Segment every CT under `input`, with the network of a checkpoint or the mean of several.

    Without a checkpoint, the starter weights of the package are used.

    For each CT this writes

    - `<name>_seg.nii.gz`, the mask on the CT's own grid,
    - `<name>_report.json` and rows of `volumes.csv`, the measurements of each organ,
    - with organ_files=true, `<name>_seg_<organ>.nii.gz`, and with dicom_seg=true, `<name>_seg.dcm` of a DICOM series,
    - with pictures=true, `<name>_overlay.png`, `<name>_organs.mp4` and `<name>_turntable.gif`,
    - `<name>_straightened.nii.gz` if the DICOM series had to be straightened: the CT on the grid of the mask,

    and for the whole call `manifest.json` and, with page=true, `index.html`. `<name>` is the path of the CT below the
    input, for example `p1/ct`, so `output` has the same folders. If a CT fails, or two CTs would have the same mask
    file, the others are still segmented, and the errors are reported at the end. Files under `input` that are not
    segmented are listed with the reason. With watch=true, the call continues with CTs that arrive later, until it is
    ended by a signal.

    Raises:
        UserError: When there is no CT, the output exists or has masks of another checkpoint, or a CT failed.
    """
    choice = choose(cfg.engine, cfg.device, ensemble.names_exported(cfg.ckpt))
    output = Path(str(cfg.output))
    given = list(map(str, cfg.input)) if isinstance(cfg.input, ListConfig) else [str(cfg.input)]
    if cfg.dicom_seg and not has_highdicom():
        msg = "dicom_seg=true needs the package highdicom; install it with pip install highdicom"
        raise UserError(msg)
    inputs: list[Input] = []
    left_out: list[LeftOut] = []
    if cfg.watch:
        check_watch(cfg, given, output)
    else:
        inputs, left_out = find_inputs(given, output)
    batch = _prepare(cfg, choice, output, inputs, left_out)
    with _recorded(batch) as failed:
        if cfg.watch:
            _equip(batch, choice, MANY_CTS)
            watch(batch, given, failed)
        else:
            if cfg.overwrite:
                remove_page(output)
            todo = batch.plan(inputs)
            if todo:
                _equip(batch, choice, len(todo))
            failed += process_each({item.display_name: item for item in todo}, batch.segment)
    if not cfg.watch:
        _write_page(batch, inputs)
    _conclude(batch, len(batch.manifest.cases) if cfg.watch else len(inputs) - batch.not_cts, failed)


def _prepare(cfg: DictConfig, choice: Choice, output: Path, inputs: Sequence[Input], left_out: list[LeftOut]) -> Batch:
    """Load the network, and check that the output may be written to.

    Raises:
        UserError: When the output exists or has other masks, or a checkpoint or an organ does not exist.
    """
    if output.is_file() or (
        output.is_dir() and any(output.iterdir()) and not (cfg.resume or cfg.overwrite or cfg.watch)
    ):
        msg = (
            f"output={output} exists; choose another folder, or resume=true to keep the masks in it and add what is "
            "missing, or overwrite=true"
        )
        raise UserError(msg)
    trained = ensemble.load(cfg.ckpt, cfg.trust, exported=True, tta=cfg.tta)
    numbers = organ_numbers(trained.organs, cfg.organs)
    trained.read_calibration()
    trained.to(choice.device)
    if cfg.ckpt == STARTER:
        print("ckpt=starter: weights of the package, trained on synthetic CTs only; for research, see docs/starter.md")
    sound = [item for item in inputs if not item.clash]
    holds_masks = any(mask_path(output, item.name).exists() for item in inputs)
    check_checkpoint(output, trained, holds_masks, sound if cfg.overwrite else None)
    options: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    options.pop("anatomy")  # a report states the ranges that it flags
    pairs = zip(trained.paths, trained.sha256, strict=True)
    checkpoints = [{"name": path.name, "sha256": sha256} for path, sha256 in pairs]
    manifest = Manifest(output, options, checkpoints, numbers, str(choice.device))
    if not cfg.overwrite or kept_masks(output, sound):
        check_options(output, manifest.decided_by)
    anatomy: Anatomy = instantiate(cfg.anatomy)
    warn_of_sides(trained.organs, anatomy)
    return Batch(cfg, output, trained, numbers, anatomy, manifest, left_out)


def _equip(batch: Batch, choice: Choice, cts: int) -> None:
    """Make the networks run with an engine, and print its name."""
    trained = batch.trained
    engine = choice.equip([member.segmenter for member in trained.members], cts * trained.views)
    batch.manifest.engine = engine.describe()
    print(f"engine: {batch.manifest.engine}")


@contextmanager
def _recorded(batch: Batch) -> Iterator[list[str]]:
    """Write the manifest at the end of a block, however it ends, unless nothing was written.

    Yields:
        A list, to which the block appends names and errors of the CTs that failed.
    """
    failed: list[str] = []
    try:
        yield failed
    except BaseException:
        _record(batch, "interrupted")
        raise
    _record(batch, "failed" if failed else "complete")


def _record(batch: Batch, state: Any) -> None:  # noqa: ANN401
    if batch.output.is_dir():
        batch.manifest.write(state, batch.left_out)


def _write_page(batch: Batch, inputs: Sequence[Input]) -> None:
    """Write the page, unless there is no mask, or no new one since the last page."""
    states = {facts["state"] for facts in batch.manifest.cases.values()}
    if "done" in states or ("kept" in states and not (batch.output / PAGE).exists()):
        page_at_end(
            batch.cfg.page,
            batch.output,
            lambda page, output: write_page_of_inputs(page, output, inputs, batch.anatomy, batch.cfg.series),
        )


def _conclude(batch: Batch, cts: int, failed: Sequence[str]) -> None:
    """Print how many CTs have a mask and what was left out.

    Raises:
        UserError: When a CT failed, or there was no CT.
    """
    lines = [describe_group(group) for group in group_by_reason(batch.left_out)]
    if not cts and not batch.cfg.watch:
        msg = "no CT among the inputs:\n  " + "\n  ".join(lines)
        raise UserError(msg)
    with_mask = [facts["case"] for facts in batch.manifest.cases.values() if facts["state"] != "failed"]
    judged = confidence_lines(batch.output, with_mask, batch.trained.calibrated.words)
    print(*judged, sep="\n", end="\n" if judged else "")
    print(f"{cts - len(failed)} of {cts} masks are in {batch.output}", *lines, sep="\n")
    raise_failures(list(failed), cts)


main = hydra_command("predict")(predict)

if __name__ == "__main__":
    main()
