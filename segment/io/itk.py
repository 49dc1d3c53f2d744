"""CTs and label maps stored as NRRD or MetaImage, read by ITK; what it passes over, from the text of their headers."""

from pathlib import Path

import numpy as np
import SimpleITK

from segment.errors import UserError
from segment.io.grid import Grid, check_geometry, check_shape
from segment.io.scan import Scan, geometry_header
from segment.io.text_header import Stated, stated


def read_itk(path: Path) -> Scan:
    """Read values and geometry.

    Where the directions of the axes are not stated, they are taken for LPS, as all programs built on ITK take them.

    Raises:
        UserError: When it is not one 3D volume of numbers, or has no usable geometry.
        Exception: Of any kind, when the file is damaged.
    """
    header, reader = _opened(path)
    size, affine = reader.GetSize(), _affine(path, reader, header)
    values = SimpleITK.GetArrayFromImage(reader.Execute()).T.reshape(size[:3])
    return Scan(values, affine, geometry_header(size, affine, header.is_oriented), size, is_oriented=header.is_oriented)


def read_itk_grid(path: Path) -> Grid:
    """Geometry alone.

    Raises:
        UserError: As `read_itk`.
        Exception: As `read_itk`.
    """
    header, reader = _opened(path)
    return Grid(reader.GetSize()[:3], _affine(path, reader, header), header.is_oriented)


def _opened(path: Path) -> tuple[Stated, SimpleITK.ImageFileReader]:
    """What the text of the header states, checked before ITK makes something else of it; and what ITK reads."""
    header = stated(path)
    if header.axes_mm is not None:
        check_geometry(path, header.axes_mm, header.spacing_mm)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if path.name.lower().endswith(".nrrd") else "MetaImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    if reader.GetNumberOfComponents() != 1:
        msg = f"{path} holds {reader.GetNumberOfComponents()} numbers per voxel; give one number per voxel"
        raise UserError(msg)
    check_shape(path, reader.GetSize())
    return header, reader


def _affine(path: Path, reader: SimpleITK.ImageFileReader, header: Stated) -> np.ndarray:
    """Voxel → RAS+ mm (4,4)."""
    count = reader.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (count, count))[:3, :3] * reader.GetSpacing()[:3]
    affine[:3, 3] = reader.GetOrigin()[:3]
    affine[:3] *= np.reshape(header.to_ras, (3, 1))
    check_geometry(path, affine, header.spacing_mm)
    return affine
