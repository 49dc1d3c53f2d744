"""Read CTs and label maps stored as NRRD or MetaImage with ITK. What ITK ignores is read from the text header."""

from pathlib import Path

import numpy as np
import SimpleITK

from segment.errors import UserError
from segment.io.decoding import decoding
from segment.io.grid import Grid, check_geometry, check_shape
from segment.io.scan import Scan, geometry_header
from segment.io.stored_size import check_metaimage_size, check_nrrd_size
from segment.io.text_header import LPS, TextHeader, read_text_header

MAX_ITEM_BYTES = 8
ITEM_BYTES = {
    **dict.fromkeys((SimpleITK.sitkInt8, SimpleITK.sitkUInt8), 1),
    **dict.fromkeys((SimpleITK.sitkInt16, SimpleITK.sitkUInt16), 2),
    **dict.fromkeys((SimpleITK.sitkInt32, SimpleITK.sitkUInt32, SimpleITK.sitkFloat32), 4),
}


def read_itk(path: Path) -> Scan:
    """Read values and geometry.

    If a file does not state the directions of its axes, they are assumed to be LPS, as in all programs built on ITK.

    Raises:
        UserError: When the file is not one 3D volume of numbers, or has no usable geometry.
        Exception: Of any kind, when the file is damaged.
    """
    header, reader = _open(path)
    size, affine = reader.GetSize(), _affine(path, reader, header)
    if header.end:
        check_size = check_nrrd_size if header.is_nrrd else check_metaimage_size
        check_size(path, header.fields, header.end)
    with decoding(path):
        image = reader.Execute()
    values = SimpleITK.GetArrayFromImage(image).T.reshape(size[:3])
    return Scan(values, affine, geometry_header(size, affine, header.is_oriented), size, is_oriented=header.is_oriented)


def read_itk_grid(path: Path) -> Grid:
    """Read the geometry alone.

    Raises:
        UserError: As `read_itk`.
        Exception: As `read_itk`.
    """
    header, reader = _open(path)
    return Grid(reader.GetSize()[:3], _affine(path, reader, header), header.is_oriented)


def _open(path: Path) -> tuple[TextHeader, SimpleITK.ImageFileReader]:
    """Return the text header and an ITK reader that has read the header.

    The text is checked first, because ITK replaces invalid geometry without an error.
    """
    header = read_text_header(path)
    if header.axes_mm is not None:
        check_geometry(path, header.axes_mm, header.spacing_mm)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if path.name.lower().endswith(".nrrd") else "MetaImageIO")
    reader.SetFileName(str(path))
    with decoding(path):
        reader.ReadImageInformation()
    if reader.GetNumberOfComponents() != 1:
        msg = f"{path} holds {reader.GetNumberOfComponents()} numbers per voxel; give one number per voxel"
        raise UserError(msg)
    check_shape(path, reader.GetSize(), ITEM_BYTES.get(reader.GetPixelID(), MAX_ITEM_BYTES))
    return header, reader


def _affine(path: Path, reader: SimpleITK.ImageFileReader, header: TextHeader) -> np.ndarray:
    """Return the affine (4,4), voxel → RAS+ mm."""
    affine = affine_of(reader, header.to_ras)
    check_geometry(path, affine, header.spacing_mm)
    return affine


def affine_of(
    image: SimpleITK.Image | SimpleITK.ImageFileReader, to_ras: tuple[float, float, float] = LPS
) -> np.ndarray:
    """Return the affine (4,4), voxel → RAS+ mm, of an image or of a file whose header was read.

    Args:
        image: At least three dimensions.
        to_ras: Signs that convert its world to RAS+.
    """
    count = image.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (count, count))[:3, :3] * image.GetSpacing()[:3]
    affine[:3, 3] = image.GetOrigin()[:3]
    affine[:3] *= np.reshape(to_ras, (3, 1))
    return affine
