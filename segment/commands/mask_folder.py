"""The folder that `segment predict` writes to: what may stay in it, and the checkpoints that made its masks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segment.checkpoint.load_ensemble import Ensemble
from segment.configuration.roles import mean_the_same
from segment.errors import UserError
from segment.files import write_text
from segment.inference.inputs.find_inputs import ENDING, Input
from segment.inference.outputs.manifest import recorded
from segment.inference.outputs.names import (
    CHECKSUMS,
    ct_path,
    dicom_seg_path,
    mask_path,
    masks_in,
    organ_path,
    picture_paths,
    report_path,
)
from segment.inference.outputs.report import read_report
from segment.io.left_out import SHOWN


def remove_outputs(output: Path, item: Input, organs: Iterable[str]) -> None:
    """Remove the outputs of an earlier call, which could be mistaken for new ones if this call is interrupted.

    Args:
        output: The folder.
        item: The CT.
        organs: Organs that may have files of their own, in addition to those that the CT's report names.
    """
    report = read_report(report_path(output, item.name)) or {}
    named = [str(name) for name in report.get("files", []) if ".." not in str(name)]
    own = [output / name for name in named if name.startswith(f"{item.name}{ENDING}")]
    organ_files = [organ_path(output, item.name, organ) for organ in organs]
    others = (ct_path(output, item.name), *picture_paths(output, item.name), dicom_seg_path(output, item.name))
    # The report comes last: if the removal is interrupted, it still names the files that remain.
    for path in (mask_path(output, item.name), *own, *organ_files, *others, report_path(output, item.name)):
        path.unlink(missing_ok=True)


def kept_masks(output: Path, overwritten: Iterable[Input]) -> set[Path]:
    """Masks in a folder that a call does not overwrite."""
    return set(masks_in(output).values()) - {mask_path(output, item.name) for item in overwritten}


def check_options(output: Path, decided_by: Mapping[str, Any]) -> None:
    """Refuse a folder whose masks were made of other organs, or with other options that decide what is in a mask.

    Args:
        output: The folder.
        decided_by: The organs and options of this call; see `Manifest.decided_by`.

    Raises:
        UserError: With the option and both values.
    """
    before = recorded(output)
    for key, value in decided_by.items():
        if before and not mean_the_same(key, before.get(key), value):
            msg = (
                f"the masks in {output} were made with {key}={_value(before.get(key))}, not {key}={_value(value)}; "
                "choose another output, or overwrite=true"
            )
            raise UserError(msg)


def _value(value: object) -> str:
    if value is None:
        return "null"
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)


def check_checkpoint(output: Path, trained: Ensemble, holds_masks: bool, overwritten: Sequence[Input] | None) -> None:
    """Refuse an output folder in which masks of another, or an unknown, checkpoint would remain.

    Args:
        output: The folder.
        trained: The network of this call.
        holds_masks: Whether the folder has masks of the inputs.
        overwritten: Inputs whose masks are overwritten; None if only missing masks are made.

    Raises:
        UserError: With the masks that would remain.
    """
    record, ours = output / CHECKSUMS, trained.sha256
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    theirs = [line.split(" ")[0] for line in lines] or None
    names = ", ".join(map(str, trained.paths))
    if theirs == ours:
        return
    if overwritten is None and (holds_masks or theirs is not None):
        msg = f"the masks in {output} were not made by {names}; choose another output, or overwrite=true"
        raise UserError(msg)
    kept = kept_masks(output, overwritten or ())
    if kept:
        first = ", ".join(sorted(path.relative_to(output).as_posix() for path in kept)[:SHOWN])
        msg = (
            f"{output} holds {len(kept)} mask(s) that were not made by {names} and that this call does not overwrite: "
            f"{first}{' …' * (len(kept) > SHOWN)}; add their CTs to the input with overwrite=true, move the masks "
            "away, or choose another output"
        )
        raise UserError(msg)


def write_checksums(output: Path, trained: Ensemble) -> None:
    """Record the checkpoints of the masks, before the first mask is written."""
    pairs = zip(trained.sha256, trained.paths, strict=True)
    text = "".join(f"{sha}  {path.name}\n" for sha, path in pairs)
    record = output / CHECKSUMS
    if not record.exists() or record.read_text(encoding="utf-8") != text:
        write_text(record, text)
