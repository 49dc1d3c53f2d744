"""Label files read for inspection: what keeps them from being used is found out, not raised."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from segment.anatomy.boxes import organ_boxes
from segment.datasets.annotation import Annotation, LabelFile, MaskFiles
from segment.datasets.cases import Case
from segment.datasets.split_sides import SplitSides
from segment.doctor.finding import Finding, refusal
from segment.doctor.label_grid import check_label_grid
from segment.errors import UserError
from segment.io.grid import check_placed
from segment.io.label_codes import MAX_ORGANS
from segment.io.read import read_ct, read_grid, read_label
from segment.io.scan import Scan

# Share of the steps between codes that are not neighbours (1 and 4, say) which go over a code in between. Rounded
# interpolation makes that of most; in labels as drawn hardly one voxel lies like that.
INTERPOLATED_SHARE = 0.1
INTERPOLATED_STEPS = 50
LINES = 128  # along an axis; followed across the others, these suffice to count steps

_NEAREST = "resample the label from its source again, with nearest neighbours"


def drawn_in(label: Annotation) -> Collection[str]:
    """Structures that a label knows; none where the file that names them is damaged, as `read_reference` will find."""
    try:
        return label.structures
    except UserError:
        return ()


def read_reference(case: Case, scan: Scan, organs: Sequence[str]) -> tuple[np.ndarray | None, list[Finding]]:
    """Class indices of a case, class i being organs[i-1], or None where they cannot be had; and why.

    Args:
        case: The case.
        scan: Its CT.
        organs: Those of interest; what else the label holds is read, too, but becomes background.
    """
    if not is_declared(case.label):  # `check_codes` says so, once for all cases
        return None, []
    names = _names(case.label, organs)
    try:
        classes = case.label.read(scan, case.image, names)
    except UserError as error:
        return None, [_reason(case, scan, error)]
    findings = list(check_label_grid(case, scan))
    if isinstance(case.label, LabelFile):
        findings += _check_interpolated(case, classes, names)
    table = np.array([0, *(organs.index(name) + 1 if name in organs else 0 for name in names)], np.uint8)
    return table[classes], findings


def label_file(label: Annotation) -> LabelFile | None:
    """The file of codes behind an annotation; None where there is none."""
    while isinstance(label, SplitSides):
        label = label.whole
    return label if isinstance(label, LabelFile) else None


def is_declared(label: Annotation) -> bool:
    """Whether anything is said of the codes of a label file; other annotations name what they hold."""
    file = label_file(label)
    return file is None or bool(file.codes)


def read_codes(case: Case, scan: Scan) -> np.ndarray:
    """Codes (I,J,K) of a case's label file, declared or not; nothing but 0 where these cannot be had."""
    file = label_file(case.label)
    with suppress(UserError):  # `read_reference` finds out why
        if file is not None:
            return file.read_codes(scan, case.image)
    return np.zeros(scan.data.shape, np.uint8)


def _names(label: Annotation, organs: Sequence[str]) -> list[str]:
    """All structures by their lowest codes, so that classes lie as codes do; of separate masks the organs alone."""
    if not isinstance(label, LabelFile):
        return list(organs)
    lowest = {name: min(value) if isinstance(value, Sequence) else value for name, value in label.codes.items()}
    names = sorted((name for name, code in lowest.items() if code > 0), key=lambda name: lowest[name])
    return names if len(names) <= MAX_ORGANS else list(organs)


def _reason(case: Case, scan: Scan, error: UserError) -> Finding:
    """Which file is the cause, and of what kind; the error's own words where files alone do not tell."""
    label = label_file(case.label) or case.label
    while isinstance(label, SplitSides):
        label = label.whole
    if isinstance(label, LabelFile | MaskFiles):
        for path in label.files:
            if finding := _of_file(path, case, scan):
                return finding
    if isinstance(label, LabelFile) and not _can_be_read(label, case, scan):
        remedy = f"name the codes in {label.named_in}, or correct the label file"
        return refusal(case.id, "label codes", error, remedy)
    return refusal(case.id, "label", error)


def _of_file(path: Path, case: Case, scan: Scan) -> Finding | None:
    """What is wrong with one file of codes or one mask, if anything."""
    try:
        read_label(path)
    except UserError as damage:
        if _holds_numbers(path):
            return refusal(case.id, "interpolated label", damage, _NEAREST)
        return refusal(case.id, "unreadable", damage, "copy or download the label again")
    try:
        check_placed(read_grid(path), scan.grid, path, case.image)
    except UserError as apart:
        return refusal(case.id, "label grid", apart)
    return None


def _can_be_read(label: LabelFile, case: Case, scan: Scan) -> bool:
    """Whether all codes in a sound file are declared."""
    try:
        label.read(scan, case.image, [])
    except UserError:
        return False
    return True


def _holds_numbers(path: Path) -> bool:
    try:
        read_ct(path)
    except UserError:
        return False
    return True


def _check_interpolated(case: Case, classes: np.ndarray, names: Sequence[str]) -> Iterator[Finding]:
    """Codes between two others wherever these meet, as rounding after linear interpolation leaves them."""
    over, steps = 0, 0
    (box,) = organ_boxes(classes > 0, 1)
    organs = classes if box is None else classes[box]
    steps_aside = [slice(None, None, -(-n // LINES)) for n in organs.shape]
    for axis in range(3):
        lines = tuple(slice(None) if other == axis else step for other, step in enumerate(steps_aside))
        along = np.moveaxis(organs[lines], axis, 0)
        before, here, after = along[:-2], along[1:-1], along[2:]
        over += int(np.count_nonzero((before < here) & (here < after) | (before > here) & (here > after)))
        steps += int(np.count_nonzero(np.maximum(before, here) - np.minimum(before, here) > 1))
    share = over / max(1, over + steps)
    if over > INTERPOLATED_STEPS and share > INTERPOLATED_SHARE:
        what = (
            f"{share:.0%} of the borders between organs with distant codes show a layer of a code in between (of "
            f"{', '.join(names[:4])}{' …' if len(names) > 4 else ''}): unless one structure lies within another, as a "
            "tumour in its organ does, the label was interpolated and rounded"
        )
        yield Finding(case.id, "interpolated label", "warning", what, _NEAREST)
