"""Read the labels of a case for inspection. Errors become findings."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from segment.anatomy.boxes import organ_boxes
from segment.datasets.annotation import Annotation
from segment.datasets.annotation_files import LabelFile, MaskFiles
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, refusal
from segment.doctor.label_grid import check_label_grid, without_splits
from segment.errors import UserError
from segment.io.grid import check_same_grid
from segment.io.label_codes import MAX_ORGANS
from segment.io.read import read_ct, read_grid, read_label
from segment.io.scan import Scan

# A step between two codes that are not neighbours, for example 1 and 4, may pass through a voxel with a code in
# between. Rounding after interpolation does this at most steps; in other labels almost no voxel is like that.
INTERPOLATED_SHARE = 0.1  # of the steps
INTERPOLATED_STEPS = 50
LINES = 128  # along an axis; lines of voxels that are enough to count steps

_NEAREST = "resample the label from its source again, with nearest neighbours"


def annotated_structures(label: Annotation) -> Collection[str]:
    """Return the structures that a label annotates.

    If the file that names them is damaged, return none; `read_reference` reports the damage.
    """
    try:
        return label.structures
    except UserError:
        return ()


def read_reference(case: Case, scan: Scan, organs: Sequence[str]) -> tuple[np.ndarray | None, list[Finding]]:
    """Return the class indices of a case, or None if its label cannot be used, and the findings about its label.

    Args:
        case: The case.
        scan: Its CT.
        organs: The organs to read. Class i is organs[i-1]. Other structures of the label become background.
    """
    if not is_declared(case.label):  # `check_codes` reports this once for all cases
        return None, []
    names = _names(case.label, organs)
    try:
        classes = case.label.read(scan, case.image, names)
    except UserError as error:
        return None, [_explain(case, scan, error)]
    findings = list(check_label_grid(case, scan))
    if isinstance(case.label, LabelFile):
        findings += _check_interpolated(case, classes, names)
    table = np.zeros(1 + len(names), np.uint8)
    for index, name in enumerate(names, start=1):
        if name in organs:
            table[index] = organs.index(name) + 1
    return table[classes], findings


def label_file(label: Annotation) -> LabelFile | None:
    """Return the file of codes of an annotation, or None for other kinds of annotations."""
    stored = without_splits(label)
    return stored if isinstance(stored, LabelFile) else None


def is_declared(label: Annotation) -> bool:
    """Whether any code of a label file is declared. Other annotations name their structures themselves."""
    file = label_file(label)
    return file is None or bool(file.codes)


def read_codes(case: Case, scan: Scan) -> np.ndarray:
    """Return the codes (I,J,K) in a case's label file, declared or not. Return zeros if there are none to read."""
    file = label_file(case.label)
    with suppress(UserError):  # `read_reference` reports the reason
        if file is not None:
            return file.read_codes(scan, case.image)
    return np.zeros(scan.data.shape, np.uint8)


def _names(label: Annotation, organs: Sequence[str]) -> list[str]:
    """Return the structures to read.

    For a label file these are all structures, sorted by their lowest codes, so that classes are in the order of the
    codes. For separate masks they are the organs alone.
    """
    if not isinstance(label, LabelFile):
        return list(organs)
    lowest: dict[str, int] = {}
    for name, value in label.codes.items():
        lowest[name] = min(value) if isinstance(value, Sequence) else value
    names = sorted((name for name, code in lowest.items() if code > 0), key=lambda name: lowest[name])
    return names if len(names) <= MAX_ORGANS else list(organs)


def _explain(case: Case, scan: Scan, error: UserError) -> Finding:
    """Find the file that caused an error, and the kind of fault. Otherwise return the error's own words."""
    label = without_splits(case.label)
    if isinstance(label, LabelFile | MaskFiles):
        for path in label.files:
            finding = _check_file(path, case, scan)
            if finding is not None:
                return finding
    if isinstance(label, LabelFile) and not _can_be_read(label, case, scan):
        remedy = f"name the codes in {label.named_in}, or correct the label file"
        return refusal(case.id, "label codes", error, remedy)
    return refusal(case.id, "label", error)


def _check_file(path: Path, case: Case, scan: Scan) -> Finding | None:
    """Return what is wrong with one file of codes or one mask, if anything."""
    try:
        read_label(path)
    except UserError as damage:
        if _is_image(path):
            return refusal(case.id, "interpolated label", damage, _NEAREST)
        return refusal(case.id, "unreadable", damage, "copy or download the label again")
    try:
        check_same_grid(read_grid(path), scan.grid, path, case.image)
    except UserError as mismatch:
        return refusal(case.id, "label grid", mismatch)
    return None


def _can_be_read(label: LabelFile, case: Case, scan: Scan) -> bool:
    """Whether all codes in an undamaged file are declared."""
    try:
        label.read(scan, case.image, [])
    except UserError:
        return False
    return True


def _is_image(path: Path) -> bool:
    """Whether a file can be read as an image, with any numbers."""
    try:
        read_ct(path)
    except UserError:
        return False
    return True


def _check_interpolated(case: Case, classes: np.ndarray, names: Sequence[str]) -> Iterator[Finding]:
    """Report a label with intermediate codes where distant codes meet, as left by rounding after interpolation."""
    between, steps = 0, 0
    (box,) = organ_boxes(classes > 0, 1)
    organs = classes if box is None else classes[box]
    every_nth = [slice(None, None, -(-n // LINES)) for n in organs.shape]
    for axis in range(3):
        lines = every_nth.copy()
        lines[axis] = slice(None)
        along = np.moveaxis(organs[tuple(lines)], axis, 0)
        before, middle, after = along[:-2], along[1:-1], along[2:]
        rises, falls = (before < middle) & (middle < after), (before > middle) & (middle > after)
        between += int(np.count_nonzero(rises | falls))
        steps += int(np.count_nonzero(np.maximum(before, middle) - np.minimum(before, middle) > 1))
    share = between / max(1, between + steps)
    if between > INTERPOLATED_STEPS and share > INTERPOLATED_SHARE:
        listed = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        what = (
            f"{share:.0%} of the borders between organs with distant codes have a layer with a code in between (of "
            f"{listed}): the label was interpolated and rounded, unless one structure is inside another, for example a "
            "tumour inside its organ"
        )
        yield Finding(case.id, "interpolated label", "warning", what, _NEAREST)
