"""What the segments of a DICOM segmentation show (PS3.3, C.8.20.2), in the words of a data set's `label_codes`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.label_codes import plain

# Laterality in SNOMED CT and in the older SNOMED RT (PS3.16, CID 244).
_SIDES = {"24028007": "right", "G-A100": "right", "7771000": "left", "G-A101": "left"}
_WHERE_SIDES_ARE = (
    ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence"),
    ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
)


def structures_of(segments: Sequence[Dataset], names: Mapping[str, Sequence[str]], path: Path) -> dict[int, str]:
    """Name of the structure that each segment shows, by the segment's number; several may show one structure.

    Args:
        segments: Items of the Segment Sequence.
        names: Names in the file of every structure, as label_codes gives them, in any case: a Segment Label (`Liver`);
            or the meaning or the code of its coded type, with the coded side before it (`Right Kidney`, `right
            SCT:64033007`). Empty: structures are called after the labels in their plain form, with the coded side
            before those that mention none (left_kidney).
        path: The file, for errors.

    Raises:
        UserError: When a segment has no name among them, or those of two structures.
    """
    if not names:
        return {int(segment.SegmentNumber): _own_name(segment) for segment in segments}
    wanted = {structure: {plain(name) for name in given} for structure, given in names.items()}
    found = {}
    for segment in segments:
        known = set(_known_as(segment))
        owners = [structure for structure, given in wanted.items() if given & known]
        if len(owners) != 1:
            said = f"gives to {' and '.join(owners)}" if owners else "does not name"
            shown = ", ".join(map(_shown, segments))
            msg = (
                f"{path} holds a segment {str(segment.SegmentLabel)!r} that label_codes {said}; give each of its "
                f"segments to one structure there: {shown}"
            )
            raise UserError(msg)
        found[int(segment.SegmentNumber)] = owners[0]
    return found


def _own_name(segment: Dataset) -> str:
    label, side = plain(str(segment.SegmentLabel)), _side(segment)
    return f"{side}_{label}" if side and not {"left", "right"} & set(label.split("_")) else label


def _known_as(segment: Dataset) -> Iterator[str]:
    """Names that mean a segment, in their plain form."""
    yield plain(str(segment.SegmentLabel))
    yield _own_name(segment)
    for code in segment.get("SegmentedPropertyTypeCodeSequence") or []:
        for name in (str(code.CodeMeaning), f"{code.CodingSchemeDesignator}:{code.CodeValue}"):
            yield plain(f"{_side(segment)} {name}")


def _side(segment: Dataset) -> str:
    """`right`, `left`, or nothing where no code, or codes of both, are given."""
    sides = {
        _SIDES.get(str(code.get("CodeValue")), "")
        for sequence, modifiers in _WHERE_SIDES_ARE
        for item in segment.get(sequence) or []
        for code in item.get(modifiers) or []
    } - {""}
    return sides.pop() if len(sides) == 1 else ""


def _shown(segment: Dataset) -> str:
    """A segment's label and, in parentheses, its other names."""
    label = str(segment.SegmentLabel)
    others = sorted({name for name in _known_as(segment) if name != plain(label)})
    return f"{label!r} ({', '.join(others)})" if others else repr(label)
