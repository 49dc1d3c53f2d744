"""Inspect one case: read its CT and label once, and run all checks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.structure import Structure, measure_structures
from segment.data.store.fingerprint import voxel_hash
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, Severity, refusal, worst
from segment.doctor.header import COPY_FORM, check_header
from segment.doctor.organ import check_organs
from segment.doctor.plausibility import check_structures
from segment.doctor.reference import annotated_structures, read_codes, read_reference
from segment.errors import UserError
from segment.io.dicom import AXIAL, Series, SeriesFolder
from segment.io.hounsfield import check_hu
from segment.io.nifti import FormsDisagreeError
from segment.io.read import is_folder
from segment.io.scan import Scan


@dataclass(frozen=True)
class Inspected:
    """The data of a case and the findings about it.

    Attributes:
        findings: In the order of the checks.
        scan: The CT, or None if it cannot be read.
        classes: (I,J,K) class indices, or None if the label cannot be used.
        voxel_hash: Hash of the CT, or an empty string if it cannot be read.
        codes: Structure of every code in a label file. Empty if the label is not a file of codes or cannot be read.
        shown: Organs that the label shows, or None if it cannot be used or annotates none of them.
    """

    findings: tuple[Finding, ...]
    scan: Scan | None = None
    classes: np.ndarray | None = None
    voxel_hash: str = ""
    codes: Mapping[int, Structure] = field(default_factory=dict)
    shown: frozenset[str] | None = None


def inspect(case: Case, organs: Sequence[str], anatomy: Anatomy) -> Inspected:
    """Read a case and check it. Damaged files become findings, not errors.

    Args:
        case: The case.
        organs: The organs to check, if the case annotates them. Class i is organs[i-1].
        anatomy: The configured anatomy.
    """
    try:
        folder = SeriesFolder(case.image) if is_folder(case.image) else None
        series_findings = list(_check_series(case, folder.series)) if folder else []
        if worst(series_findings) == "error":
            return Inspected(tuple(series_findings))
        scan = folder.read(case.series) if folder else case.read()
    except UserError as error:
        return Inspected((_refused(case, error),))
    findings = [*series_findings, *check_header(case.id, scan, case.image)]
    findings += [Finding(case.id, *fault) for fault in check_hu(scan.data)]
    codes = measure_structures(scan, read_codes(case, scan))
    classes, label_findings = read_reference(case, scan, organs)
    findings += label_findings
    annotated = [organ for organ in organs if organ in annotated_structures(case.label)]
    shown = None
    if classes is not None and annotated:
        findings += check_organs(case.id, scan, classes, organs, annotated, anatomy)
        named = {organs[index - 1]: structure for index, structure in measure_structures(scan, classes).items()}
        findings += check_structures(case.id, named, anatomy)
        shown = frozenset(named)
    return Inspected(tuple(findings), scan, classes, voxel_hash(scan.data), codes, shown)


def _refused(case: Case, error: UserError) -> Finding:
    """The finding about a CT that cannot be read."""
    if isinstance(error, FormsDisagreeError):
        return refusal(case.id, "forms disagree", error, COPY_FORM)
    return refusal(case.id, "unreadable", error)


def _check_series(case: Case, series: Sequence[Series]) -> Iterator[Finding]:
    """Report a folder with several axial CTs if none was chosen. The largest is read, unless several are as large."""
    axial = [one for one in series if one.kind == AXIAL]
    if case.series is None and len(axial) > 1:
        tie = axial[0].slices == axial[1].slices
        severity: Severity = "error" if tie else "warning"
        taken = (
            "none was read, because the largest have the same size" if tie else "the largest, listed first, was read"
        )
        what = f"{len(axial)} axial CTs are in its folder, {', '.join(map(str, axial))}: {taken}"
        remedy = "choose one by writing its UID into the column series of a manifest"
        yield Finding(case.id, "several series", severity, what, remedy)
