"""What a subject may hold besides image and label, and cheap copies of subjects."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torchio as tio

TISSUE = "tissue"  # a subject's tissue map (1,I,J,K) uint8: codes of `segment.phantom.tissues`


def shallow_copy(subject: tio.Subject) -> tio.Subject:
    """Copy a subject and its images, but share the voxels.

    This suffices for a transform that replaces voxels and never overwrites them. It is milliseconds cheaper than the
    deep copy that TorchIO makes of a transform's input.
    """
    values = dict(subject)
    for name, value in subject.items():
        if isinstance(value, tio.Image):
            values[name] = copy.copy(value)
    result = tio.Subject(values)
    result.applied_transforms = list(subject.applied_transforms)
    return result


def needs_tissue(transform: object) -> bool:
    """Whether a transform, or one that it contains, uses tissue maps: its attribute `needs_tissue` is True."""
    return any(getattr(step, "needs_tissue", False) for step in steps_of(transform))


def steps_of(transform: object) -> Iterator[tio.Transform]:
    """Yield a transform and all transforms that it contains; nothing if it is none."""
    if isinstance(transform, tio.Transform):
        yield transform
        for part in _parts(list(vars(transform).values())):
            yield from steps_of(part)


def _parts(values: Iterable[Any]) -> list[Any]:
    """Values in lists and dictionaries, which hold the transforms of Compose and OneOf."""
    parts = []
    for value in values:
        if isinstance(value, dict):
            parts += [*value, *value.values()]
        elif isinstance(value, list):
            parts += value
        else:
            parts.append(value)
    return parts
