"""Names of the files that `segment predict` writes for a CT. `name` is the path of the CT below the input."""

from pathlib import Path

from segment.inference.inputs.find_inputs import ENDING, STRAIGHTENED

CHECKSUMS = "checkpoint.sha256"  # the checkpoints that made the masks in a folder, in the format of sha256sum


def mask_path(output: Path, name: str) -> Path:
    """The mask of a CT."""
    return output / f"{name}{ENDING}.nii.gz"


def organ_path(output: Path, name: str, organ: str) -> Path:
    """The mask of one organ. Characters that separate folders are replaced."""
    return output / f"{name}{ENDING}_{organ.replace('/', '_').replace(chr(92), '_')}.nii.gz"


def dicom_seg_path(output: Path, name: str) -> Path:
    """The mask as a DICOM segmentation."""
    return output / f"{name}{ENDING}.dcm"


def report_path(output: Path, name: str) -> Path:
    """The measurements of a CT, and where its files are."""
    return output / f"{name}_report.json"


def ct_path(output: Path, name: str) -> Path:
    """The straightened CT, on the grid of its mask."""
    return output / f"{name}{STRAIGHTENED}.nii.gz"


def picture_paths(output: Path, name: str) -> tuple[Path, Path, Path]:
    """The picture of a CT, its video, and the animation of its turning organs."""
    return output / f"{name}_overlay.png", output / f"{name}_organs.mp4", output / f"{name}_turntable.gif"


def masks_in(output: Path) -> dict[str, Path]:
    """Masks below a folder by name, sorted. Hidden files are what a killed call left of a mask."""
    end = f"{ENDING}.nii.gz"
    found = sorted(path for path in output.rglob(f"*{end}") if not path.name.startswith("."))
    return {path.relative_to(output).as_posix().removesuffix(end): path for path in found}
