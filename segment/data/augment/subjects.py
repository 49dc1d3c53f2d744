"""Cheap copies of TorchIO subjects."""

import copy

import torchio as tio


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
