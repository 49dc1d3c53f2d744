"""The folder that `segment predict` writes to: the names of its files, and the checkpoints that made its masks."""

from collections.abc import Sequence
from pathlib import Path

from segment.checkpoint.load_ensemble import Ensemble
from segment.errors import UserError
from segment.files import write_text
from segment.inference.inputs.find_inputs import ENDING, STRAIGHTENED, Input
from segment.io.left_out import SHOWN

CHECKSUMS = "checkpoint.sha256"  # the checkpoints that made the masks in a folder, in the format of sha256sum


def mask_path(output: Path, item: Input) -> Path:
    """The mask of a CT."""
    return output / f"{item.name}{ENDING}.nii.gz"


def ct_path(output: Path, item: Input) -> Path:
    """The straightened CT, on the grid of its mask."""
    return output / f"{item.name}{STRAIGHTENED}.nii.gz"


def picture_paths(output: Path, item: Input) -> tuple[Path, Path]:
    """The picture and the video of a CT."""
    return output / f"{item.name}_overlay.png", output / f"{item.name}_organs.mp4"


def remove_outputs(output: Path, item: Input) -> None:
    """Remove the outputs of an earlier call, which could be mistaken for new ones if this call is interrupted."""
    for path in (mask_path(output, item), ct_path(output, item), *picture_paths(output, item)):
        path.unlink(missing_ok=True)


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
    kept = {*output.rglob(f"*{ENDING}.nii.gz")} - {mask_path(output, item) for item in overwritten or ()}
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
