"""One case: its CT and label are read once, and everything is checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segment.data.cases import Case
from segment.data.fingerprint import voxel_hash
from segment.data.inspect.anatomy import Anatomy
from segment.data.inspect.finding import Finding, worst
from segment.data.inspect.header import check_header
from segment.data.inspect.hu import check_hu
from segment.data.inspect.organ import check_organs
from segment.data.inspect.sides import check_sides
from segment.data.inspect.truth import drawn_in, read_truth, without_remedy
from segment.data.readers.dicom import AXIAL, list_series
from segment.data.readers.scan import Scan
from segment.errors import UserError


@dataclass(frozen=True)
class Inspected:
    """What was read and found.

    Attributes:
        findings: In the order of the checks.
        scan: The CT; None when it cannot be read.
        classes: (I,J,K) class indices; None when the label cannot be used.
        voxel_hash: Of the CT; empty when it cannot be read.
    """

    findings: tuple[Finding, ...]
    scan: Scan | None = None
    classes: np.ndarray | None = None
    voxel_hash: str = ""


def inspect(case: Case, organs: Sequence[str], anatomy: Anatomy) -> Inspected:
    """Read a case and check it, whatever is wrong with it.

    Args:
        case: The case.
        organs: The organs to judge, where the case annotates them; class i is organs[i-1].
        anatomy: What is plausible.
    """
    try:
        scan = case.read()
    except UserError as error:
        remedy = "copy, download or convert the CT again"
        return Inspected((Finding(case.id, "unreadable", "error", without_remedy(error), remedy),))
    of_series = list(_check_series(case))
    of_hu = list(check_hu(case.id, scan.data))
    if worst(of_hu) == "error":  # then what organs hold says nothing new
        anatomy = replace(anatomy, median_hu={})
    findings = [*of_series, *check_header(case.id, scan), *of_hu]
    classes, of_label = read_truth(case, scan, organs)
    findings += of_label
    annotated = [organ for organ in organs if organ in drawn_in(case.label)]
    if classes is not None and annotated:
        findings += check_organs(case.id, scan, classes, organs, annotated, anatomy)
        findings += check_sides(case.id, scan, classes, organs, anatomy)
    return Inspected(tuple(findings), scan, classes, voxel_hash(scan.data))


def _check_series(case: Case) -> Iterator[Finding]:
    """A folder from which one of several CTs was taken, by its size alone."""
    if case.series is not None or not case.image.is_dir():
        return
    series = [one for one in list_series(case.image) if one.kind == AXIAL]
    if len(series) > 1:
        names = ", ".join(f"{one.uid} ({one.description or 'no description'}, {one.slices} slices)" for one in series)
        what = f"{len(series)} axial CTs lie in its folder, {names}: the first was taken, for its size alone"
        yield Finding(case.id, "several series", "warning", what, "choose one in the column series of a manifest")
