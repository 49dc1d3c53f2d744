"""Read organ masks from DICOM segmentations (PS3.3, A.51) onto the grid of the CT that they annotate."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom import config, uid
from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.frame_position import locate_frame, slice_view
from segment.io.grid import check_spacing
from segment.io.scan import Scan
from segment.io.segments import structures_of

SEG_SUFFIX = ".dcm"

# These tags contain no patient's name, ID or birth date.
_TAGS = (
    *("SOPClassUID", "SegmentationType", "SegmentSequence", "MaximumFractionalValue", "NumberOfFrames"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "Rows", "Columns", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PixelRepresentation", "BitsAllocated", "BitsStored", "HighBit", "PixelData"),
)


def read_dicom_seg(path: Path, like: Scan, names: Mapping[str, Sequence[str]] | None = None) -> dict[str, np.ndarray]:
    """Read the masks of all segments. Masks may overlap.

    Args:
        path: A binary or fractional segmentation. Fractions of a half or more count as the organ. The file contains
            only the slices in which a segment is not empty.
        like: The CT, with its axes in any order.
        names: For each structure, its names in the file; see `structures_of`. Without names, structures are named as in
            the file.

    Returns:
        Bool masks (I,J,K) on the CT's grid, by structure. Segments of the same structure are merged. The mask of a
        segment without frames is empty.

    Raises:
        UserError: When the file is damaged or not a segmentation, or one of its frames is not on a slice of the CT.
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
    except Exception as error:  # the parser can raise nearly anything on damaged bytes
        msg = (
            f"cannot read {path}: it is damaged, compressed or not a DICOM segmentation; copy it again or decompress it"
        )
        raise UserError(msg) from error
    if len(frames) != len(pixels):
        msg = f"{path} describes {len(frames)} frames and holds {len(pixels)}; export it again"
        raise UserError(msg)
    masks = {name: np.zeros(like.data.shape, bool) for name in structures.values()}
    for (name, affine), pixel_rows in zip(frames, pixels, strict=True):
        plane = pixel_rows.T  # (I,J)
        view = slice_view(masks[name], locate_frame(affine, plane.shape, like), plane, path)
        view[plane] = True
    return masks


def segment_names(path: Path, names: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """Return the structures of the segments, named as `read_dicom_seg` names them, in their order, each once.

    Raises:
        UserError: When the file cannot be read, or contains a segment that `names` does not include.
    """
    try:
        with config.disable_value_validation():
            file = pydicom.dcmread(path, specific_tags=["SOPClassUID", "SegmentationType", "SegmentSequence"])
            _check_kind(file, path)
            return list(dict.fromkeys(structures_of(file.SegmentSequence, names or {}, path).values()))
    except UserError:
        raise
    except Exception as error:  # the parser can raise nearly anything on damaged bytes
        msg = f"cannot read {path}: it is damaged or not a DICOM segmentation; copy it again"
        raise UserError(msg) from error


def max_frame_offset(path: Path, like: Scan) -> tuple[float, float]:
    """Return the largest distance between a frame's corner and the matching voxel of the CT, in mm and in voxels.

    Args:
        path: A segmentation that `read_dicom_seg` can read.
        like: The CT.
    """
    with config.disable_value_validation():
        file = pydicom.dcmread(path, specific_tags=list(_TAGS), stop_before_pixels=True)
        positions = [locate_frame(affine, (file.Columns, file.Rows), like) for _, affine in _frames(file, path)]
    largest_mm = max((position.offset_mm for position in positions), default=0)
    largest_voxels = max((position.offset_voxels for position in positions), default=0)
    return largest_mm, largest_voxels


def _check_kind(file: Dataset, path: Path) -> None:
    """Refuse DICOM objects that contain no masks, for example contours. Such files are not damaged."""
    if file.SOPClassUID == uid.SegmentationStorage and file.SegmentationType in ("BINARY", "FRACTIONAL"):
        return
    kind = uid.UID(file.SOPClassUID)
    what = f"{kind.name} {file.get('SegmentationType', '')}".strip()
    remedy = "convert its contours to masks as NIfTI" if kind == uid.RTStructureSetStorage else "give masks as NIfTI"
    msg = f"{path} holds {what}, not a binary or fractional DICOM segmentation; {remedy}"
    raise UserError(msg)


def _frames(file: Dataset, path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each frame's segment number and in-plane affine (4,3), which maps (column, row, 1) to RAS+ mm."""
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
    """Return an item of the frame's own functional groups or, failing that, of the groups shared by all frames."""
    item: Dataset = next(group[sequence][0] for group in groups if sequence in group)
    return item


def _floats(groups: Sequence[Dataset], sequence: str, keyword: str) -> list[float]:
    return [float(value) for value in _group(groups, sequence)[keyword].value]


def _pixels(file: Dataset) -> np.ndarray:
    """Return all frames as bool (frames,J,I)."""
    stored = file.pixel_array.reshape(-1, file.Rows, file.Columns)
    threshold = file.MaximumFractionalValue / 2 if file.SegmentationType == "FRACTIONAL" else 1
    return stored >= threshold
