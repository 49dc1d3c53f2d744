"""One case: its CT and label are read once, and everything is checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.place import Place, places
from segment.data.store.fingerprint import voxel_hash
from segment.datasets.cases import Case
from segment.doctor.finding import Finding, Severity, refusal, worst
from segment.doctor.header import check_header
from segment.doctor.judge import check_places
from segment.doctor.organ import check_organs
from segment.doctor.reference import drawn_in, read_codes, read_reference
from segment.errors import UserError
from segment.io.dicom import AXIAL, Series, SeriesFolder
from segment.io.hounsfield import check_hu
from segment.io.read import is_folder
from segment.io.scan import Scan


@dataclass(frozen=True)
class Inspected:
    """What was read and found.

    Attributes:
        findings: In the order of the checks.
        scan: The CT; None when it cannot be read.
        classes: (I,J,K) class indices; None when the label cannot be used.
        voxel_hash: Of the CT; empty when it cannot be read.
        codes: Place of every code in a label file; none where the label is no such file or cannot be read.
    """

    findings: tuple[Finding, ...]
    scan: Scan | None = None
    classes: np.ndarray | None = None
    voxel_hash: str = ""
    codes: Mapping[int, Place] = field(default_factory=dict)


def inspect(case: Case, organs: Sequence[str], anatomy: Anatomy) -> Inspected:
    """Read a case and check it, whatever is wrong with it.

    Args:
        case: The case.
        organs: The organs to judge, where the case annotates them; class i is organs[i-1].
        anatomy: What is plausible.
    """
    try:
        folder = SeriesFolder(case.image) if is_folder(case.image) else None
        of_series = list(_check_series(case, folder.series)) if folder else []
        if worst(of_series) == "error":
            return Inspected(tuple(of_series))
        scan = folder.read(case.series) if folder else case.read()
    except UserError as error:
        return Inspected((refusal(case.id, "unreadable", error),))
    findings = [*of_series, *check_header(case.id, scan, case.image)]
    findings += [Finding(case.id, *fault) for fault in check_hu(scan.data)]
    codes = places(scan, read_codes(case, scan))
    classes, of_label = read_reference(case, scan, organs)
    findings += of_label
    annotated = [organ for organ in organs if organ in drawn_in(case.label)]
    if classes is not None and annotated:
        findings += check_organs(case.id, scan, classes, organs, annotated, anatomy)
        named = {organs[index - 1]: place for index, place in places(scan, classes).items()}
        findings += check_places(case.id, named, anatomy)
    return Inspected(tuple(findings), scan, classes, voxel_hash(scan.data), codes)


def _check_series(case: Case, series: Sequence[Series]) -> Iterator[Finding]:
    """A folder of several CTs, none of which was chosen: at best the size of one tells it from the others."""
    axial = [one for one in series if one.kind == AXIAL]
    if case.series is None and len(axial) > 1:
        tie = axial[0].slices == axial[1].slices
        severity: Severity = "error" if tie else "warning"
        taken = "none was taken, for the largest are of one size" if tie else "the first was taken, for its size alone"
        what = f"{len(axial)} axial CTs lie in its folder, {', '.join(map(str, axial))}: {taken}"
        remedy = "choose one by its UID, in the column series of a manifest"
        yield Finding(case.id, "several series", severity, what, remedy)
