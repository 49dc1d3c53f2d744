"""Organ masks out of DICOM segmentation objects (PS3.3, A.51), on the grid of the CT they were drawn on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import config, uid
from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.grid import OFF_GRID, check_spacing
from segment.io.scan import Scan
from segment.io.segments import structures_of

SEG_SUFFIX = ".dcm"

# Neither a patient's name nor number nor birth date is among them.
_TAGS = (
    *("SOPClassUID", "SegmentationType", "SegmentSequence", "MaximumFractionalValue", "NumberOfFrames"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "Rows", "Columns", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PixelRepresentation", "BitsAllocated", "BitsStored", "HighBit", "PixelData"),
)


def read_dicom_seg(path: Path, like: Scan, names: Mapping[str, Sequence[str]] | None = None) -> dict[str, np.ndarray]:
    """Read the masks of all segments; they may overlap.

    Args:
        path: A segmentation object, binary or fractional (from a half on it counts as the organ). It holds only the
            slices where a segment is not empty.
        like: The CT, in any order of its axes.
        names: Names in the file of every structure, see `structures_of`; none: structures are called as in the file.

    Returns:
        Bool masks (I,J,K) on the CT's grid by structure. Segments of one structure are one mask; a segment without
        frames is an empty one.

    Raises:
        UserError: When the file is no such object, damaged, or a slice of it does not lie on a slice of the CT.
    """
    try:
        with config.disable_value_validation():
            file = pydicom.dcmread(path, specific_tags=list(_TAGS))
            _check_kind(file, path)
            structures = structures_of(file.SegmentSequence, names or {}, path)
            frames = [(structures[number], affine) for number, affine in _frames(file, path)]
            pixels = _pixels(file)  # (frames,J,I) bool
    except UserError:
        raise
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        msg = f"cannot read {path}: it is damaged, no DICOM segmentation or compressed; copy it again or decompress it"
        raise UserError(msg) from error
    if len(frames) != len(pixels):
        msg = f"{path} describes {len(frames)} frames and holds {len(pixels)}; export it again"
        raise UserError(msg)
    masks = {name: np.zeros(like.data.shape, bool) for name in structures.values()}
    for (name, affine), plane in zip(frames, pixels, strict=True):
        _slot(masks[name], _fit(affine, plane.T.shape, like), plane.T, path)[plane.T] = True
    return masks


def segment_names(path: Path, names: Mapping[str, Sequence[str]] | None = None) -> set[str]:
    """Structures of the segments, as `read_dicom_seg` gives them.

    Raises:
        UserError: When the file cannot be read, or holds a segment that `names` leaves out.
    """
    try:
        with config.disable_value_validation():
            file = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SegmentationType", "SegmentSequence"])
            _check_kind(file, path)
            return set(structures_of(file.SegmentSequence, names or {}, path).values())
    except UserError:
        raise
    except Exception as error:  # as above
        msg = f"cannot read {path}: it is damaged or no DICOM segmentation; copy it again"
        raise UserError(msg) from error


def frames_away(path: Path, like: Scan) -> tuple[float, float]:
    """Largest distance of a frame's corners from the voxels of the CT that it is taken for, in mm and in voxels.

    Args:
        path: A segmentation that `read_dicom_seg` reads.
        like: The CT.
    """
    with config.disable_value_validation():
        file = pydicom.dcmread(path, specific_tags=list(_TAGS), stop_before_pixels=True)
        fits = [_fit(affine, (file.Columns, file.Rows), like) for _, affine in _frames(file, path)]
    return max((fit.away_mm for fit in fits), default=0), max((fit.away_voxels for fit in fits), default=0)


def _check_kind(file: Dataset, path: Path) -> None:
    """Refuse DICOM objects of other kinds, which are whole, but hold no masks."""
    if file.SOPClassUID != uid.SegmentationStorage or file.SegmentationType not in ("BINARY", "FRACTIONAL"):
        kind = uid.UID(file.SOPClassUID)
        remedy = (
            "convert its contours to masks as NIfTI" if kind == uid.RTStructureSetStorage else "give masks as NIfTI"
        )
        what = f"{kind.name} {file.get('SegmentationType', '')}".strip()
        msg = f"{path} holds {what}, no binary or fractional DICOM segmentation; {remedy}"
        raise UserError(msg)


def _frames(file: Dataset, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Segment number and in-plane affine (4,3), (column, row, 1) → RAS+ mm, of each frame."""
    shared = file.SharedFunctionalGroupsSequence[0]
    for own in file.PerFrameFunctionalGroupsSequence:
        groups = (own, shared)
        axes = np.reshape(_floats(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), (2, 3))
        rows_mm, columns_mm = _floats(groups, "PixelMeasuresSequence", "PixelSpacing")
        check_spacing(path, (rows_mm, columns_mm))
        start = _floats(groups, "PlanePositionSequence", "ImagePositionPatient")
        affine = np.column_stack([axes[0] * columns_mm, axes[1] * rows_mm, start])
        affine[:2] *= -1  # LPS+ → RAS+
        yield int(_group(groups, "SegmentIdentificationSequence").ReferencedSegmentNumber), affine


def _group(groups: Sequence[Dataset], sequence: str) -> Dataset:
    """An item that stands in the frame's own functional groups or in those of all frames."""
    item: Dataset = next(group[sequence][0] for group in groups if sequence in group)
    return item


def _floats(groups: Sequence[Dataset], sequence: str, keyword: str) -> list[float]:
    return [float(value) for value in _group(groups, sequence)[keyword].value]


def _pixels(file: Dataset) -> np.ndarray:
    """Bool (frames,J,I)."""
    stored = file.pixel_array.reshape(-1, file.Rows, file.Columns)
    return stored >= (file.MaximumFractionalValue / 2 if file.SegmentationType == "FRACTIONAL" else 1)


@dataclass(frozen=True)
class _Fit:
    """Where a frame lies in the CT, to the whole voxel, and how far it is from there.

    Attributes:
        start: (3,) voxel of the CT at the frame's first one.
        steps: (3,2) voxels of the CT per column and per row of the frame.
        away_mm: Largest distance of a corner.
        away_voxels: The same in voxels of the CT, along the axis where it is largest.
        at_mm: (3,) RAS+ of the frame's first voxel.
    """

    start: np.ndarray
    steps: np.ndarray
    away_mm: float
    away_voxels: float
    at_mm: np.ndarray


def _fit(affine: np.ndarray, shape: tuple[int, ...], like: Scan) -> _Fit:
    """Place a frame of some columns and rows, with its in-plane affine, in the CT."""
    back = np.linalg.inv(like.affine)
    steps = np.rint(back[:3, :3] @ affine[:, :2]).astype(int)
    start = np.rint(back[:3] @ [*affine[:, 2], 1]).astype(int)
    ends = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]) * (shape[0] - 1, shape[1] - 1, 1)
    index = steps @ ends[:, :2].T + start[:, None]  # (3,4): corners of the frame in voxels of the CT
    apart_mm = affine @ ends.T - (like.affine[:3, :3] @ index + like.affine[:3, 3:])
    away_mm = float(np.linalg.norm(apart_mm, axis=0).max())
    return _Fit(start, steps, away_mm, float(np.abs(back[:3, :3] @ apart_mm).max()), affine[:, 2])


def _slot(mask: np.ndarray, fit: _Fit, plane: np.ndarray, path: Path) -> np.ndarray:
    """The slice of a mask, as a view in the frame's own order of axes, on which a frame (I,J) lies.

    Raises:
        UserError: When there is none.
    """
    steps, start = fit.steps, fit.start
    i, j = np.abs(steps).argmax(axis=0)
    straight = (np.abs(steps).sum(axis=0) == 1).all() and i != j
    k = 3 - i - j
    if fit.away_voxels > OFF_GRID or not straight or not 0 <= start[k] < mask.shape[k]:
        msg = (
            f"{path} has a frame at {fit.at_mm.round(3).tolist()} mm (RAS+) that lies on no slice of its CT, "
            f"but {fit.away_mm:.3g} mm or some slices away; give the CT it was annotated on, or resample the "
            "segmentation onto it"
        )
        raise UserError(msg)
    view = mask.transpose(i, j, k)[:: steps[i, 0], :: steps[j, 1], start[k]]
    corner = [0 if step > 0 else mask.shape[axis] - 1 for axis, step in ((i, steps[i, 0]), (j, steps[j, 1]))]
    if view.shape != plane.shape or [start[i], start[j]] != corner:
        msg = (
            f"{path} has frames of {plane.shape} voxels that begin at voxel {start.tolist()} of its CT, which has "
            f"{view.shape} per slice; give the CT it was annotated on, or resample the segmentation onto it"
        )
        raise UserError(msg)
    return view
