"""Segment a labelled CT as it is and with provoked faults, and measure the masks."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from segment.anatomy.anatomy import Anatomy
from segment.data.volumes import LabelledScan
from segment.inference.confidence.faults import FAULTS, Case
from segment.inference.confidence.features import measure_features
from segment.inference.confidence.table import Row
from segment.inference.segmenter import Segmenter
from segment.io.hounsfield import check_possible
from segment.io.scan import Scan, geometry_header
from segment.metrics.organ_flags import organ_flags
from segment.metrics.organ_measures import measure_organs

SOUND = "sound"


def provoked(labelled: LabelledScan, faults: int) -> Iterator[tuple[str, Scan, np.ndarray]]:
    """A CT in RAS+ orientation as it is, and with faults, each with its name and its class indices.

    The faults are a pure function of the case's id without its source. One after which the CT would be refused is left
    out.

    Args:
        labelled: The CT.
        faults: How many of the kinds in `FAULTS`; all if there are fewer.
    """
    case = _in_ras(labelled.scan, labelled.reference)
    seed = zlib.crc32(labelled.id.rpartition("/")[2].encode())
    others = [name for name in FAULTS if name != SOUND]
    for number, name in enumerate([SOUND, *np.random.default_rng(seed).permutation(others)[:faults]]):
        scan, classes = FAULTS[name](*case, np.random.default_rng([seed, number]))
        if check_possible(scan.data) is None:
            yield str(name), scan, classes


def measure_rows(
    labelled: LabelledScan, segmenter: Segmenter, organs: Sequence[str], anatomy: Anatomy, faults: int
) -> list[Row]:
    """Segment a CT as `segment predict` does, sound and with faults, and measure every organ.

    Organs that the case does not annotate, or that are in neither mask nor reference, are left out.
    """
    rows: list[Row] = []
    for fault, scan, classes in provoked(labelled, faults):
        rows += _rows(labelled, fault, scan, classes, segmenter, organs, anatomy)
    return rows


def _rows(
    labelled: LabelledScan,
    fault: str,
    scan: Scan,
    classes: np.ndarray,
    segmenter: Segmenter,
    organs: Sequence[str],
    anatomy: Anatomy,
) -> Iterator[Row]:
    segmented = segmenter.segment(scan, exact=False, doubted=organs)
    assert segmented.evidence is not None  # it was asked for
    findings = measure_features(scan, segmented.mask, segmented.evidence, organs, anatomy)
    numbers = {organ: index for index, organ in enumerate(organs, start=1) if labelled.annotated[index]}
    for measures in measure_organs(scan, segmented.mask, numbers):
        mask, reference = segmented.mask == measures.number, classes == measures.number
        size = np.count_nonzero(mask) + np.count_nonzero(reference)
        if not size:
            continue
        yield Row(
            case=labelled.id,
            fault=fault,
            organ=measures.organ,
            dice=2 * np.count_nonzero(mask & reference) / size,
            voxels=int(np.count_nonzero(reference)),
            in_view=findings.in_view.get(measures.organ),
            flags=organ_flags(measures, anatomy),
            features=findings.features.get(measures.organ),
        )


def _in_ras(scan: Scan, classes: np.ndarray) -> Case:
    """A CT and its class indices with axes that point to the right, the front and the head, as far as possible."""
    orientation = nib.orientations.io_orientation(scan.affine)
    data, labels = (nib.orientations.apply_orientation(array, orientation) for array in (scan.data, classes))
    affine = scan.affine @ nib.orientations.inv_ornt_aff(orientation, scan.data.shape)
    data = np.ascontiguousarray(data)
    header = geometry_header(data.shape, affine)
    return replace(scan, data=data, affine=affine, header=header, shape=data.shape), np.ascontiguousarray(labels)
