"""Names of the files that `segment predict` writes for a CT."""

from pathlib import Path

from segment.inference.inputs.find_inputs import ENDING, STRAIGHTENED, Input


def mask_path(output: Path, item: Input) -> Path:
    """The mask of a CT."""
    return output / f"{item.name}{ENDING}.nii.gz"


def organ_path(output: Path, item: Input, organ: str) -> Path:
    """The mask of one organ. Characters that separate folders are replaced."""
    return output / f"{item.name}{ENDING}_{organ.replace('/', '_').replace(chr(92), '_')}.nii.gz"


def dicom_seg_path(output: Path, item: Input) -> Path:
    """The mask as a DICOM segmentation."""
    return output / f"{item.name}{ENDING}.dcm"


def report_path(output: Path, item: Input) -> Path:
    """The measurements of a CT, and where its files are."""
    return output / f"{item.name}_report.json"


def ct_path(output: Path, item: Input) -> Path:
    """The straightened CT, on the grid of its mask."""
    return output / f"{item.name}{STRAIGHTENED}.nii.gz"


def picture_paths(output: Path, item: Input) -> tuple[Path, Path]:
    """The picture and the video of a CT."""
    return output / f"{item.name}_overlay.png", output / f"{item.name}_organs.mp4"
