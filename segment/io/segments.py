"""Match the segments of a DICOM segmentation (PS3.3, C.8.20.2) with the structures named in `label_codes`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from segment.errors import UserError
from segment.io.label_codes import normalise_name

# Laterality in SNOMED CT and in the older SNOMED RT (PS3.16, CID 244).
_SIDES = {"24028007": "right", "G-A100": "right", "7771000": "left", "G-A101": "left"}
# Sequences that can contain a laterality, each with the sequence of its modifiers.
_SIDE_SEQUENCES = (
    ("SegmentedPropertyTypeCodeSequence", "SegmentedPropertyTypeModifierCodeSequence"),
    ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
)


def structures_of(segments: Sequence[Dataset], names: Mapping[str, Sequence[str]], path: Path) -> dict[int, str]:
    """Return the structure of each segment, by segment number. Several segments may belong to one structure.

    Args:
        segments: Items of the Segment Sequence.
        names: For each structure, its names in the file, ignoring case, as given in label_codes. A name is a Segment
            Label, for example `Liver`, or the meaning or code of the segment's coded type after its coded side, for
            example `Right Kidney` or `right SCT:64033007`. If empty, each structure is called after its normalised
            label, with the coded side in front if the label mentions no side, for example left_kidney.
        path: The file, for errors.

    Raises:
        UserError: When a segment matches no structure, or several.
    """
    if not names:
        return {int(segment.SegmentNumber): _default_name(segment) for segment in segments}
    wanted: dict[str, set[str]] = {}
    for structure, given in names.items():
        wanted[structure] = {normalise_name(name) for name in given}
    labels = [normalise_name(str(segment.SegmentLabel)) for segment in segments]
    found = {}
    for segment, label in zip(segments, labels, strict=True):
        # A label that no other segment has decides: the same coded type may be given to several segments.
        segment_names = {label} if labels.count(label) == 1 else set()
        owners = [structure for structure, given in wanted.items() if given & segment_names]
        if not owners:
            segment_names = set(_names_of(segment))
            owners = [structure for structure, given in wanted.items() if given & segment_names]
        if len(owners) != 1:
            problem = f"gives to {' and '.join(owners)}" if owners else "does not name"
            available = ", ".join(map(_describe, segments))
            msg = (
                f"{path} holds a segment {str(segment.SegmentLabel)!r} that label_codes {problem}; give each of its "
                f"segments to one structure there: {available}"
            )
            raise UserError(msg)
        found[int(segment.SegmentNumber)] = owners[0]
    return found


def _default_name(segment: Dataset) -> str:
    label, side = normalise_name(str(segment.SegmentLabel)), _side(segment)
    mentions_side = not {"left", "right"}.isdisjoint(label.split("_"))
    return f"{side}_{label}" if side and not mentions_side else label


def _names_of(segment: Dataset) -> Iterator[str]:
    """Yield the normalised names that match a segment."""
    yield normalise_name(str(segment.SegmentLabel))
    yield _default_name(segment)
    for code in segment.get("SegmentedPropertyTypeCodeSequence") or []:
        for name in (str(code.CodeMeaning), f"{code.CodingSchemeDesignator}:{code.CodeValue}"):
            yield normalise_name(f"{_side(segment)} {name}")


def _side(segment: Dataset) -> str:
    """Return `right` or `left`, or an empty string if the segment has no code of a side, or codes of both."""
    sides = set()
    for sequence, modifiers in _SIDE_SEQUENCES:
        for item in segment.get(sequence) or []:
            for code in item.get(modifiers) or []:
                sides.add(_SIDES.get(str(code.get("CodeValue")), ""))
    sides.discard("")
    return sides.pop() if len(sides) == 1 else ""


def _describe(segment: Dataset) -> str:
    """Return a segment's label, followed by its other names in parentheses."""
    label = str(segment.SegmentLabel)
    others = sorted(set(_names_of(segment)) - {normalise_name(label)})
    return f"{label!r} ({', '.join(others)})" if others else repr(label)
