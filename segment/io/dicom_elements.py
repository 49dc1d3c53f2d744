"""Check the structure of a DICOM file before GDCM decodes it.

GDCM believes the length that a damaged element states, and takes gigabytes of memory for it.
"""

from pathlib import Path

import pydicom
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from segment.io.decoding import DecodingError

ITEM, DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
UNDEFINED = 0xFFFFFFFF  # the length of a sequence or of compressed pixels, which end with a delimiter


def check_elements(path: Path) -> None:
    """Check that the elements of a file are complete and in order, and that its pixels have the size that it states.

    Raises:
        DecodingError: With what is wrong.
    """
    try:
        with config.disable_value_validation():
            content = pydicom.dcmread(path, force=True)
            fault = _fault(content)
    except Exception as error:  # the parser can raise nearly anything on damaged bytes
        fault = str(error) or type(error).__name__
    if fault:
        raise DecodingError(fault)


def _fault(content: Dataset) -> str:
    """What is wrong with a data set; empty if nothing is."""
    before = -1
    for tag in content.keys():  # noqa: SIM118  # iterating a data set would convert and sort its elements
        element = content.get_item(tag)
        if int(tag) < before:
            return f"the element {tag} is out of order"
        before = int(tag)
        if isinstance(element, RawDataElement) and element.length != UNDEFINED:
            held = len(element.value or b"")
            if held != element.length:
                return f"the element {tag} states {element.length} bytes, and {held} follow"
    if "PixelData" not in content:
        return "it holds no pixels"
    if content.file_meta.get("TransferSyntaxUID") and content.file_meta.TransferSyntaxUID.is_encapsulated:
        return _fault_of_fragments(content.get_item(0x7FE00010).value)
    expected = content.Rows * content.Columns * content.get("SamplesPerPixel", 1) * content.BitsAllocated // 8
    held = len(content.PixelData)
    if held not in (expected, expected + expected % 2):
        return f"it states {expected} bytes of pixels, and holds {held}"
    return ""


def _fault_of_fragments(pixels: bytes) -> str:
    """What is wrong with the items of compressed pixels (PS3.5, A.4); empty if nothing is."""
    at = 0
    while at + 8 <= len(pixels):
        tag, length = pixels[at : at + 4], int.from_bytes(pixels[at + 4 : at + 8], "little")
        if tag == DELIMITER:
            return ""
        if tag != ITEM or length > len(pixels) - at - 8:
            return f"the compressed pixels are damaged at byte {at}"
        at += 8 + length
    return ""
