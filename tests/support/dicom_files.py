"""Write small DICOM series with pydicom, and compute the positions of their voxels."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PATIENT = {"PatientName": "Doe^Jane", "PatientID": "4711-SECRET", "PatientBirthDate": "19700102"}
AXIAL = (1, 0, 0, 0, 1, 0)


def slice_file(position, orientation=AXIAL, stored=None, spacing=(0.8, 0.7), **tags):
    """The data set of one CT slice.

    Args:
        position: Position of the first voxel, LPS+ mm.
        orientation: Directions of a row and of a column.
        stored: Stored values (rows, columns); None for zeros.
        spacing: Distance between rows and between columns, mm.
        tags: Other tags by keyword; None removes a tag.
    """
    stored = np.zeros((5, 4), np.int16) if stored is None else stored
    header = Dataset()
    all_tags = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.3.1",
        "SeriesInstanceUID": "1.2.3.4",
        "SeriesDescription": "Abdomen",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        **PATIENT,
        "ImagePositionPatient": np.round(position, 6).tolist(),
        "ImageOrientationPatient": np.round(orientation, 9).tolist(),
        "PixelSpacing": list(spacing),
        "SliceThickness": 1,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        "PixelData": stored.astype(stored.dtype.newbyteorder("<")).tobytes(),
        **tags,
    }
    for keyword, value in all_tags.items():
        if value is not None:
            setattr(header, keyword, value)
    if "PixelData" in header:
        header["PixelData"].VR = "OW"
    return header


def write(path: Path, header: Dataset, syntax=ExplicitVRLittleEndian) -> Path:
    """Save a file, compressed if the transfer syntax is."""
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    if syntax.is_encapsulated:
        header.compress(syntax)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def write_series(folder, positions, order=None, name="{:03d}.dcm", **tags):
    """Write one file per position. File n in name order holds slice order[n] and has the instance number n + 1."""
    order = range(len(positions)) if order is None else order
    for n, k in enumerate(order):
        slice_tags = {"InstanceNumber": n + 1}
        for key, value in tags.items():
            slice_tags[key] = value(k) if callable(value) else value
        write(folder / name.format(n), slice_file(positions[k], **slice_tags))
    return folder


def stack_positions(count=6, gap=2.5, start=(-100.0, -90.0, -300.0), normal=(0.0, 0.0, 1.0)):
    return [np.add(start, gap * k * np.asarray(normal)) for k in range(count)]


def voxel_mm(position, orientation, spacing, column, row):
    """Position of a voxel, LPS+ mm, by equation C.7.6.2.1-1 of the DICOM standard."""
    along_row, along_column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    return np.asarray(position) + along_row * spacing[1] * column + along_column * spacing[0] * row
